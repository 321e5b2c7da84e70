"""One replication of the recovery study: draw a recording, sum up its days, calibrate, set against the truth.

Runs in a worker process. The answer is small: a JSON object with estimates, intervals and truths, never the tape.
"""

import hashlib
import resource
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks._recovery_changes import Recording
from benchmarks.recovery_scenarios import BY_NAME, START, Scenario, draw_recording
from tributary_pipelines.analytics.calibration import impact_statistics, tokens
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics, compute_impact_statistics
from tributary_pipelines.analytics.optimization import parameters
from tributary_pipelines.analytics.optimization.parameters import AlmgrenChrissParameters, CalibrationGates, calibrate
from tributary_pipelines.core.models import Market

PARAMETERS = ("sigma", "gamma", "book_slope", "epsilon", "resilience_rate", "transient_eta")
CODE_VERSIONS = (impact_statistics.CODE_VERSION, parameters.CODE_VERSION)

_ROOT = Path(__file__).parents[1]
#: What decides a replication's numbers; a change of any of these files makes stored replications stale.
_SOURCES = (
    "benchmarks/_recovery_*.py",
    "benchmarks/recovery_scenarios.py",
    "tributary_pipelines/analytics/*.py",
    "tributary_pipelines/analytics/calibration/*.py",
    "tributary_pipelines/analytics/optimization/parameters.py",
    "tributary_pipelines/analytics/simulation/synthetic_*.py",
)


def code_fingerprint() -> str:
    """Return the hash of every source file that decides a replication's numbers, and of numpy's version."""
    digest = hashlib.sha256(np.__version__.encode())
    for path in sorted(path for pattern in _SOURCES for path in _ROOT.glob(pattern)):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def sum_up(scenario: Scenario, recording: Recording) -> list[ImpactStatistics]:
    """Return the statistics of each day, the trades of the market's other token merged in."""
    market, trades = market_of(scenario), recording.trades
    if recording.other_trades is not None:
        assert market.price_min is not None
        assert market.price_max is not None
        trades = tokens.merge_tokens(trades, recording.other_trades, market.price_min, market.price_max).trades
    return [
        compute_impact_statistics(
            trades,
            recording.books,
            market_id=market.market_id,
            token_id=market.token_id,
            day=(START + timedelta(days=day)).date(),
            tick_size=market.tick_size,
            price_min=market.price_min,
            price_max=market.price_max,
        )
        for day in range(scenario.n_days)
    ]


def market_of(scenario: Scenario) -> Market:
    """Return what a user would declare of the scenario's market."""
    options = scenario.market
    bounds = {"price_min": 0.0, "price_max": 1.0} if options.bounded else {}
    return Market(market_id="m", token_id="t", tick_size=options.tick, fee_model="none", **bounds)


def calibrate_scenario(scenario: Scenario, days: list[ImpactStatistics]) -> AlmgrenChrissParameters:
    """Calibrate with the default gates, except that a scenario of one day asks for one day."""
    return calibrate(
        days,
        market=market_of(scenario),
        window_start=START,
        window_end=START + timedelta(days=scenario.n_days),
        gates=CalibrationGates(min_days=min(CalibrationGates().min_days, scenario.n_days)),
    )


def estimate_of(found: AlmgrenChrissParameters, name: str) -> tuple[float | None, float | None, float | None]:
    """Return value and 95 % interval of one of ``PARAMETERS``; None where the version does not give it."""
    if name == "transient_eta":
        low, high = (getattr(found, f"{name}_ci_{end}", None) for end in ("low", "high"))
        return getattr(found, name, None), low, high
    estimate = found.estimates[name]
    return estimate.value, estimate.ci_low, estimate.ci_high


def replicate(name: str, replication: int) -> dict[str, Any]:
    """Run one replication of a scenario; the same numbers on every machine, but for ``cpu_s`` and ``peak_mb``."""
    scenario, begun = BY_NAME[name], time.process_time()
    recording = draw_recording(scenario, scenario.seed(replication))
    found = calibrate_scenario(scenario, sum_up(scenario, recording))
    estimates = {}
    for parameter in PARAMETERS:
        value, low, high = estimate_of(found, parameter)
        estimates[parameter] = {"value": value, "low": low, "high": high, "truth": recording.truth[parameter]}
    return {
        "scenario": name,
        "replication": replication,
        "status": found.status,
        "reasons": list(found.reasons),
        "flags": list(found.flags),
        "n_trades": found.n_trades,
        "estimates": estimates,
        "cpu_s": round(time.process_time() - begun, 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
