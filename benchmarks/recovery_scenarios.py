"""The scenarios of the recovery study, as data: the recipe of each market, what befalls its tape, and the reference.

One definition, used by the study (recovery.py) and by the tests. All vary the base market: sigma 0.03 a day, 30 % of
its variance from flow, gamma D = 0.225, half-spread 0.005, tick 0.001, half-life 60 s, 20 trades an hour, 30 days, a
snapshot every 10 s. Books show 20 levels a side, one a tick, so that slopes are fitted over 19 ticks. The first ten are
those of the reference table (150 replications by other code); the others have no reference.

    python -m benchmarks recovery_scenarios
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import exp, sqrt, tanh

import numpy as np

from benchmarks._recovery_changes import (
    Change,
    Recording,
    add_jump,
    empty_a_side_two_hours_a_day,
    leave,
    lose_half_of_the_sides,
    lose_six_hours,
    lose_the_other_token,
    repeat_every_trade,
    report_half_on_the_other_token,
    stamp_whole_seconds,
)
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape
from tributary_pipelines.analytics.simulation.synthetic_options import MEAN_SIZE, SIZE_LOG_SD
from tributary_pipelines.analytics.simulation.synthetic_path import CHASE_MEMORY_S
from tributary_pipelines.core.units import SECONDS_PER_DAY

START = datetime(2026, 1, 1, tzinfo=UTC)
ETA_SLICE_S = 60.0

#: Nothing but the shape of the displayed book depends on the level of an unbounded price; from 1.5 no path of 30 days
#: comes near zero, where the book would lose its bids.
_RECIPE: Mapping[str, float] = {"p0": 1.5, "levels": 20}
_PROBABILITY: Mapping[str, float] = {"p0": 0.5, "bounded": True}

#: Columns of the reference table.
REFERENCE_PARAMETERS = ("sigma", "gamma", "book_slope", "resilience_rate", "transient_eta")
REFERENCE_REPLICATIONS = 150
REFERENCE_COVERAGES = ("sigma", "gamma", "book_slope", "transient_eta")


@dataclass(frozen=True, slots=True)
class Scenario:
    """One market and what befalls its tape.

    Parameters
    ----------
    name, meaning : str
    options : mapping
        Of SyntheticMarket, over those of the recipe.
    n_days : int
    change : callable
        From the tape to the recording.
    reference : tuple of (bias, RMSE, p95 of |error|), in %
        In the order of REFERENCE_PARAMETERS.
    reference_coverage : tuple of float
        Of the 95 % interval, in the order of REFERENCE_COVERAGES.
    warnings : tuple of str
        Flags, at least one of which should tell a user.
    """

    name: str
    meaning: str
    options: Mapping[str, float] = field(default_factory=dict)
    n_days: int = 30
    change: Change = leave
    reference: tuple[tuple[float, float, float], ...] = ()
    reference_coverage: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def market(self) -> SyntheticMarket:
        """Options of the market."""
        return SyntheticMarket(**{**_RECIPE, **self.options})  # type: ignore[arg-type]

    @property
    def index(self) -> int:
        """Position among all scenarios, which seeds it."""
        return SCENARIOS.index(self)

    def seed(self, replication: int) -> np.random.SeedSequence:
        """Seed of a replication, the same on every machine."""
        return np.random.SeedSequence((self.index, replication))


REFERENCE_SCENARIOS = (
    Scenario(
        "base",
        "30 d, 20 trades/h",
        reference=((0.0, 2.3, 4.4), (0.5, 2.7, 5.1), (1.0, 2.7, 5.0), (-0.5, 3.5, 7.0), (1.8, 5.2, 9.9)),
        reference_coverage=(0.98, 0.95, 0.86, 0.88),
    ),
    Scenario(
        "thin",
        "30 d, 3 trades/h",
        {"trades_per_hour": 3},
        reference=((0.4, 3.2, 6.4), (0.8, 2.8, 5.5), (1.0, 2.6, 4.9), (0.6, 7.6, 15), (1.0, 7.7, 15)),
        reference_coverage=(0.95, 0.93, 0.87, 0.89),
    ),
    Scenario(
        "thin_weak",
        "30 d, 3 trades/h, 5 % of the variance from flow",
        {"trades_per_hour": 3, "r2": 0.05},
        reference=((0.0, 2.2, 4.6), (1.3, 7.1, 14), (1.0, 2.6, 5.0), (0.8, 7.8, 16), (0.7, 8.3, 17)),
        reference_coverage=(0.93, 0.93, 0.86, 0.90),
    ),
    Scenario(
        "slow",
        "30 d, 20 trades/h, half-life of impact 600 s",
        {"half_life_s": 600},
        reference=((0.0, 5.8, 11), (3.1, 7.6, 14), (1.0, 2.7, 5.0), (-0.5, 3.6, 6.9), (1.1, 6.2, 12)),
        reference_coverage=(0.93, 0.87, 0.85, 0.86),
    ),
    Scenario(
        "late",
        "30 d, 20 trades/h, stamps late by 0 to 5 s, whole seconds",
        {"stamp_delay_s": 5},
        change=stamp_whole_seconds,
        reference=((0.1, 2.3, 4.4), (0.5, 2.8, 5.1), (1.0, 2.7, 5.0), (5.6, 6.9, 13), (-3.6, 6.2, 11)),
        reference_coverage=(0.95, 0.95, 0.87, 0.76),
    ),
    Scenario(
        "coarse",
        "30 d, 20 trades/h, tick 0.01",
        {"tick": 0.01},
        reference=((-0.5, 4.0, 7.9), (-0.2, 4.8, 9.3), (1.0, 2.7, 5.0), (-0.5, 5.2, 10), (2.1, 6.6, 14)),
        reference_coverage=(0.93, 0.93, 0.85, 0.91),
        warnings=("tick_bound",),
    ),
    Scenario(
        "week",
        "7 d, 20 trades/h",
        n_days=7,
        reference=((0.4, 4.7, 9.8), (1.3, 5.6, 9.6), (1.1, 4.5, 8.3), (-0.2, 6.2, 12), (1.5, 8.2, 16)),
        reference_coverage=(0.93, 0.95, 0.86, 0.93),
    ),
    Scenario(
        "thin_week",
        "7 d, 3 trades/h",
        {"trades_per_hour": 3},
        n_days=7,
        reference=((0.4, 6.9, 12), (1.0, 5.6, 12), (1.1, 4.5, 8.4), (0.4, 11, 22), (1.8, 12, 21)),
        reference_coverage=(0.89, 0.92, 0.82, 0.90),
    ),
    Scenario(
        "weak_week",
        "7 d, 20 trades/h, 5 % of the variance from flow",
        {"r2": 0.05},
        n_days=7,
        reference=((0.2, 4.7, 9.8), (2.9, 15, 29), (1.1, 4.5, 8.2), (1.1, 9.1, 17), (0.3, 11, 21)),
        reference_coverage=(0.92, 0.94, 0.85, 0.90),
    ),
    Scenario(
        "day",
        "1 d, 20 trades/h",
        n_days=1,
        reference=((1.0, 14, 27), (2.7, 16, 30), (1.8, 11, 20), (1.0, 14, 26), (2.2, 19, 41)),
        reference_coverage=(0.83, 0.89, 0.75, 0.84),
    ),
)

FURTHER_SCENARIOS = (
    Scenario("autocorrelated", "a trade repeats the last one's side with probability 3/4", {"flow_phi": 0.5}),
    Scenario(
        "chasing",
        "takers follow the last minute's move, logit 0.5 a standard deviation",
        {"chase": 0.5},
        warnings=("clock_lead", "bucket_sensitive"),
    ),
    Scenario("later", "stamps late by 0 to 20 s, twice the guard", {"stamp_delay_s": 20}, warnings=("clock_lead",)),
    Scenario("jump", "one jump of 3 sigma at a random moment, counted in sigma", change=add_jump),
    Scenario("outage", "nothing collected for 6 h", change=lose_six_hours),
    Scenario(
        "half_signed", "half of the sides missing, at random", change=lose_half_of_the_sides, warnings=("no_side",)
    ),
    Scenario("duplicated", "every trade on the tape twice", change=repeat_every_trade, warnings=("kappa_mismatch",)),
    Scenario("one_sided", "two hours a day without bids or without asks", change=empty_a_side_two_hours_a_day),
    Scenario(
        "low_price",
        "a price within 0..1 from 0.03 on, sigma 0.003 there, half-spread 0.002",
        {"bounded": True, "p0": 0.03, "sigma": 0.003, "epsilon": 0.002},
        warnings=("tick_bound",),
    ),
    Scenario(
        "two_tokens",
        "a price within 0..1, half of the trades made on the other token, merged",
        _PROBABILITY,
        change=report_half_on_the_other_token,
    ),
    Scenario(
        "one_of_two_tokens",
        "the same, nothing collected of the other token",
        _PROBABILITY,
        change=lose_the_other_token,
    ),
)

#: The position of a scenario seeds it: new ones go to the end.
SCENARIOS = (*REFERENCE_SCENARIOS, *FURTHER_SCENARIOS)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}


def draw_recording(scenario: Scenario, seed: int | np.random.SeedSequence) -> Recording:
    """Return a recording of the scenario from ``START`` on, with the truth of every parameter that is estimated."""
    rng = np.random.default_rng(seed)
    tape = generate_tape(scenario.market, start=START, n_days=scenario.n_days, rng=rng)
    truth = tape.truth | {
        "sigma": tape.truth["sigma"] * sqrt(1 + flow_feedback(scenario.market)),
        "transient_eta": transient_eta(tape.truth["kappa"], tape.truth["resilience_rate"]),
    }
    return scenario.change(Recording(tape.trades, tape.books, truth), rng)


def transient_eta(kappa: float, resilience_rate: float, slice_s: float = ETA_SLICE_S) -> float:
    """Return (kappa delta / 2) coth(rho delta / 2), P*day/share: eta~ of slices every delta.

    Examples
    --------
    >>> round(transient_eta(1.0, 1.0, slice_s=86_400), 10)
    1.0819767069
    """
    slice_days = slice_s / SECONDS_PER_DAY
    return kappa * slice_days / 2 / tanh(resilience_rate * slice_days / 2)


def flow_feedback(market: SyntheticMarket) -> float:
    """Return what dependence of the sides adds to the long-run variance, as a share of sigma^2.

    The options give sigma for independent sides. With sides that repeat, E[s_0 s_k] = phi^k adds
    2 phi / (1 - phi) E[v]^2 / E[v^2] to the flow's part. With sides that follow the news x of the last minute
    (standardised, memory T), s = c x + noise with c = E[x tanh(chase x / 2)]: news and flow then covary by
    c sigma_f sqrt(2 T) a share, and flow with itself by c^2 e^(-t/T). One of the two at a time.
    """
    flow_share = market.flow_variance / market.sigma**2
    mean_share = exp(-(SIZE_LOG_SD**2))  # E[v]^2 / E[v^2] of a lognormal size
    persistence = 2 * market.flow_phi / (1 - market.flow_phi) * mean_share * flow_share
    nodes, weights = np.polynomial.hermite_e.hermegauss(40)
    c = float(weights @ (nodes * np.tanh(market.chase * nodes / 2)) / weights.sum())
    memory_days = CHASE_MEMORY_S / SECONDS_PER_DAY
    push = market.permanent_impact * market.trades_per_day * MEAN_SIZE
    with_news = 2 * push * c * market.news_volatility * sqrt(2 * memory_days)
    with_itself = push**2 * c**2 * 2 * memory_days
    return persistence + (with_news + with_itself) / market.sigma**2


def main() -> None:
    for scenario in SCENARIOS:
        print(f"{scenario.index:3} {scenario.name:18} {scenario.meaning}")


if __name__ == "__main__":
    main()
