"""A tape of known truth with no flag to raise, short enough to be calibrated in every test, and its days."""

import pytest

from tests.analytics.markets import statistics_of, tape_of
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape

SHORT_DAYS = 4


@pytest.fixture(scope="session")
def short_tape() -> SyntheticTape:
    return tape_of(2, n_days=SHORT_DAYS, snapshot_s=30, levels=30)


@pytest.fixture(scope="session")
def short_days(short_tape: SyntheticTape) -> list[ImpactStatistics]:
    return statistics_of(short_tape.trades, short_tape.books, SHORT_DAYS)
