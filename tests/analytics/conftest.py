"""Tapes of known truth, made once a session: thirty days each."""

from collections.abc import Callable

import pytest

from tests.analytics.markets import statistics_of, tape_of
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticTape

#: Options and seed of each scenario.
SCENARIOS: dict[str, tuple[dict[str, float], int]] = {
    "base": ({}, 1),
    "thin": ({"trades_per_hour": 3}, 1),
    "coarse": ({"tick": 0.01}, 1),
    "weak": ({"r2": 0.05}, 1),
    "late": ({"stamp_delay_s": 5.0}, 1),
    "bounded": ({"bounded": True, "p0": 0.3}, 1),
}


@pytest.fixture(scope="session")
def scenario_tape() -> Callable[[str], SyntheticTape]:
    tapes: dict[str, SyntheticTape] = {}

    def make(name: str) -> SyntheticTape:
        if name not in tapes:
            options, seed = SCENARIOS[name]
            tapes[name] = tape_of(seed, **options)
        return tapes[name]

    return make


@pytest.fixture(scope="session")
def scenario_days(scenario_tape: Callable[[str], SyntheticTape]) -> Callable[[str], list[ImpactStatistics]]:
    days: dict[str, list[ImpactStatistics]] = {}

    def make(name: str) -> list[ImpactStatistics]:
        if name not in days:
            options, _ = SCENARIOS[name]
            tape = scenario_tape(name)
            bounds = {"price_min": 0.0, "price_max": 1.0} if options.get("bounded") else {}
            days[name] = statistics_of(tape.trades, tape.books, 30, tick_size=options.get("tick", 0.001), **bounds)
        return days[name]

    return make
