"""Calibrations made by hand: three markets with a gamma of their own, and thin ones that have none."""

from dataclasses import replace
from datetime import timedelta

from tests.analytics.markets import START
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.analytics.optimization.parameters import CODE_VERSION
from tributary_pipelines.core.units import PARAMETER_UNITS

#: sigma / sqrt(sum of v^2 a day), P/share: 0.03 P/day^0.5 over 30 shares.
SCALE = 1e-3
VALUES = {"sigma": 0.03, "epsilon": 0.005, "book_slope": 1e-3, "resilience_rate": 900.0, "eta": 2e-5}


def calibration(market_id: str = "thin", gamma: float | None = None, **changes: object) -> AlmgrenChrissParameters:
    """A calibration with or without a gamma of its own; ``sigma`` and the other estimates can be given or None."""
    values = {name: changes.pop(name, value) for name, value in VALUES.items()} | {"gamma": gamma}
    made = AlmgrenChrissParameters(
        market_id=market_id,
        token_id="t",
        status="refused" if gamma is None else "ok",
        reasons=("gamma: 90 trades in the window",) if gamma is None else (),
        flags=("thin",) if gamma is None else (),
        window_start=START,
        window_end=START + timedelta(days=30),
        usable_from=START + timedelta(days=30),
        n_days=30,
        n_trades=90,
        n_snapshots=9_000,
        coverage=1.0,
        eta_interval_s=1800.0,
        estimates={
            name: Estimate(values[name], unit, None, None, "refused" if values[name] is None else "own")
            for name, unit in PARAMETER_UNITS.items()
        },
        code_version=CODE_VERSION,
        data_fingerprint=f"of {market_id}",
        sigma_window=values["sigma"],
        flow_sq_per_day=900.0,
        flow_sq_error=0.0,
    )
    return replace(made, **changes)


def members() -> list[AlmgrenChrissParameters]:
    """Three markets whose ln(gamma / scale) is -ln 2, -2 ln 2 and -3 ln 2, on scales that differ."""
    return [
        calibration("a", 0.5 * SCALE),
        calibration("b", 0.25 * 4 * SCALE, sigma=0.06, flow_sq_per_day=225.0),
        calibration("c", 0.125 * SCALE / 10, flow_sq_per_day=90_000.0),
    ]
