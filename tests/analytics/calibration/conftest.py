"""Scenarios of the recovery study, each drawn and calibrated once a session; what is kept of a tape is small."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from benchmarks._recovery_replication import calibrate_scenario, estimate_of, sum_up
from benchmarks.recovery_scenarios import BY_NAME, Scenario, draw_recording
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters
from tributary_pipelines.core.frames import OrderBooks, Trades


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario's recording (its books without their depth), its days, what was found and what is true."""

    scenario: Scenario
    trades: Trades
    books: OrderBooks
    days: list[ImpactStatistics]
    found: AlmgrenChrissParameters
    truth: dict[str, float]

    @property
    def mids(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Times and values of the mids, and the days they span."""
        return self.books.times, self.books.mids, self.scenario.n_days

    def ratio(self, name: str) -> float:
        """An estimate over its truth."""
        value, _, _ = estimate_of(self.found, name)
        assert value is not None, self.found.reasons
        return value / self.truth[name]


def case_of(scenario: Scenario, replication: int = 0) -> Case:
    recording = draw_recording(scenario, scenario.seed(replication))
    days = sum_up(scenario, recording)
    books = recording.books
    touch = (getattr(books, f"{side}_{what}")[:, :1].copy() for side in ("bid", "ask") for what in ("prices", "sizes"))
    kept = OrderBooks(books.times, *touch)
    return Case(scenario, recording.trades, kept, days, calibrate_scenario(scenario, days), recording.truth)


@pytest.fixture(scope="session")
def case() -> Callable[[str], Case]:
    """The first replication of a scenario, by name."""
    return cache(lambda name: case_of(BY_NAME[name]))
