"""What one day of a token contributes to calibration: sums by 2 h block, on grids fixed in advance, that simply add.

A window of days is calibrated from these sums (window_statistics.py) without reading its trades and snapshots again.
Nothing crosses 00:00 UTC: mids, moves, lags and books of a day come from that day alone, so that the sums of a window
equal the window computed at once. What depends on the window (J, K, horizon, half-life, clusters of blocks) is chosen
from the sums.

Mids lie on a 10 s grid: the last usable mid at or before, not older than the reach of a snapshot, else missing. Trades
whose side the venue does not say get the side of the Lee-Ready rule (signing.py).
"""

from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.analytics.book_costs import FRACTIONS, SPAN_TICKS, infer_tick
from tributary_pipelines.analytics.calibration.cost_curves import N_SIZES, SMALLEST_SIZE, display_sums
from tributary_pipelines.analytics.calibration.impact_sums import (
    flow_sums,
    mids_on_grid,
    move_sums,
    reach_us,
    sampled_books,
    slope_sums,
    spread_sums,
)
from tributary_pipelines.analytics.calibration.lag_regression import LAG_EDGES, WIDE_LAG_EDGES, n_packed
from tributary_pipelines.analytics.calibration.resampling import BLOCKS_PER_DAY
from tributary_pipelines.analytics.calibration.resilience import N_RATES
from tributary_pipelines.analytics.calibration.signing import SideCounts, sign_trades
from tributary_pipelines.analytics.seasonality import HOURS_PER_DAY, hourly_sums
from tributary_pipelines.analytics.two_scale import LAG_LADDER_S, price_scale
from tributary_pipelines.analytics.volatility_measures import MEASURES, day_measures
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, OrderBooks, Trades
from tributary_pipelines.core.soundness import sound_market_data
from tributary_pipelines.core.units import US_PER_DAY, US_PER_S, day_start, to_us

CODE_VERSION = "impact_statistics/4"

_BLOCKS = (BLOCKS_PER_DAY,)

#: Shape of every array column. The first axis is the block, except for the columns of ``OF_DAY``.
SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("spread_time", "spread_s", "lag_yty", "wide_yty", "n_buckets", "traded", "traded_sq"), _BLOCKS),
    **dict.fromkeys(("slope_sum", "slope_sq", "slope_buy_sum", "slope_sell_sum", "n_slopes"), _BLOCKS),
    **dict.fromkeys(("depth_sum", "intercept_sum"), _BLOCKS),
    "curve_sum": (BLOCKS_PER_DAY, len(FRACTIONS)),
    **dict.fromkeys(("move_sq", "n_moves", "move_scale_sq"), (BLOCKS_PER_DAY, len(LAG_LADDER_S))),
    "lag_xtx": (BLOCKS_PER_DAY, n_packed(len(LAG_EDGES))),
    "lag_xty": (BLOCKS_PER_DAY, len(LAG_EDGES)),
    "wide_xtx": (BLOCKS_PER_DAY, n_packed(len(WIDE_LAG_EDGES))),
    "wide_xty": (BLOCKS_PER_DAY, len(WIDE_LAG_EDGES)),
    "decay_base": (BLOCKS_PER_DAY, 3),
    **dict.fromkeys(("decay_yy", "decay_fy", "decay_my"), (BLOCKS_PER_DAY, N_RATES)),
    "span_counts": (SPAN_TICKS + 1,),
    **dict.fromkeys(("cost_buy_sum", "cost_sell_sum", "n_cost_buy", "n_cost_sell"), (N_SIZES,)),
    **dict.fromkeys(("hour_move_sq", "hour_n_moves", "hour_volume"), (HOURS_PER_DAY,)),
    "volatility_measures": (len(MEASURES),),
}
#: Array columns without blocks.
OF_DAY = frozenset(name for name, shape in SHAPES.items() if shape[0] != BLOCKS_PER_DAY)


@dataclass(frozen=True, slots=True, eq=False)
class ImpactStatistics:
    """One row of core.result_frames.IMPACT_STATISTICS; arrays are float64 with the shapes of ``SHAPES``."""

    timestamp: datetime
    market_id: str
    token_id: str
    n_trades: int
    n_unsigned: int
    n_side_checked: int
    n_side_agreeing: int
    n_other_token: int
    n_mirrored: int
    n_snapshots: int
    n_usable: int
    first_snapshot_s: float | None
    covered_s: float
    price_min: float | None
    price_max: float | None
    spread_time: Float64Array1D
    spread_s: Float64Array1D
    move_sq: Float64Array2D
    n_moves: Float64Array2D
    move_scale_sq: Float64Array2D
    lag_xtx: Float64Array2D
    lag_xty: Float64Array2D
    lag_yty: Float64Array1D
    n_buckets: Float64Array1D
    wide_xtx: Float64Array2D
    wide_xty: Float64Array2D
    wide_yty: Float64Array1D
    decay_base: Float64Array2D
    decay_yy: Float64Array2D
    decay_fy: Float64Array2D
    decay_my: Float64Array2D
    traded: Float64Array1D
    traded_sq: Float64Array1D
    slope_sum: Float64Array1D
    slope_sq: Float64Array1D
    slope_buy_sum: Float64Array1D
    slope_sell_sum: Float64Array1D
    n_slopes: Float64Array1D
    depth_sum: Float64Array1D
    intercept_sum: Float64Array1D
    curve_sum: Float64Array2D
    span_counts: Float64Array1D
    cost_unit: float
    cost_buy_sum: Float64Array1D
    cost_sell_sum: Float64Array1D
    n_cost_buy: Float64Array1D
    n_cost_sell: Float64Array1D
    hour_move_sq: Float64Array1D
    hour_n_moves: Float64Array1D
    hour_volume: Float64Array1D
    volatility_measures: Float64Array1D
    tick_size: float | None
    price_step: float | None
    last_mid: float | None
    code_version: str
    data_fingerprint: str

    @property
    def day(self) -> date:
        """The UTC day."""
        return self.timestamp.date()

    @property
    def has_data(self) -> bool:
        """Whether the day holds any trade or snapshot."""
        return self.n_trades + self.n_snapshots > 0

    def to_row(self) -> dict[str, Any]:
        """Return the row of the result table; arrays become flat lists."""
        row = {field.name: getattr(self, field.name) for field in fields(self)}
        return row | {name: row[name].ravel().tolist() for name in SHAPES}

    @classmethod
    def from_row(cls, row: Any) -> "ImpactStatistics":
        """Return the statistics of a row of the result table (any mapping of its columns).

        Raises
        ------
        ValueError
            An array has another length than this version writes.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            value = row[field.name]
            if field.name in SHAPES:
                values[field.name] = np.array(value, dtype=np.float64).reshape(SHAPES[field.name])
            elif field.name.startswith("n_"):
                values[field.name] = int(value)
            elif field.name == "timestamp":
                values[field.name] = pd.Timestamp(value).tz_convert(UTC).to_pydatetime()
            elif isinstance(value, str):
                values[field.name] = value
            else:
                values[field.name] = None if pd.isna(value) else float(value)
        return cls(**values)


def compute_impact_statistics(
    trades: Trades,
    books: OrderBooks,
    *,
    market_id: str,
    token_id: str,
    day: date,
    tick_size: float | None,
    lot_size: float | None = None,
    stamp_guard_s: float = 10.0,
    staleness_limit_s: float = 30.0,
    price_min: float | None = None,
    price_max: float | None = None,
    n_other_token: int = 0,
    n_mirrored: int = 0,
    data_fingerprint: str = "",
) -> ImpactStatistics:
    """Sum up one UTC day of a token.

    Parameters
    ----------
    trades, books : Trades, OrderBooks
        Ascending; rows outside the day are left out. Trades of a complement token are already on this token's scale.
    tick_size : float, optional
        P; inferred from the displayed prices when None.
    lot_size : float, optional
        First size of the displayed cost curve, shares.
    stamp_guard_s : float
        Largest plausible lag of trade stamps behind the book, s; flow is counted this much earlier.
    staleness_limit_s : float
        How long a snapshot speaks for the market, s; 3 median gaps where snapshots are rarer.
    price_min, price_max : float, optional
        The market's declared price bounds.
    n_other_token, n_mirrored : int
        Trades that came from the complement token, and copies that were left out (tokens.py); carried along.
    data_fingerprint : str
        Fingerprint of the day's raw data, carried along.

    Returns
    -------
    ImpactStatistics
        Sums that overflow are NaN, and what is estimated from them is refused later.

    Raises
    ------
    ValidationError
        Rows that no reader returns: see core.soundness.
    """
    start = to_us(day_start(day))
    end, where = start + US_PER_DAY, f"market {market_id}, token {token_id}, {day}"
    trades, books = sound_market_data(trades, books, start, end, where=where, price_min=price_min)
    with np.errstate(over="ignore", invalid="ignore"):
        usable = books.rows(np.flatnonzero(np.isfinite(books.mids)))
        reach = reach_us(books.times, staleness_limit_s)
        sampled = sampled_books(books, start, reach)
        step = infer_tick(sampled)
        grid = mids_on_grid(usable, start, reach)
        signed, sides = sign_trades(trades, usable, reach)
        sums = {
            **spread_sums(usable, start, reach),
            **move_sums(grid, price_scale(grid, price_min, price_max)),
            **flow_sums(grid, signed, start, stamp_guard_s),
            **slope_sums(sampled, tick_size or step, start),
            **display_sums(sampled, lot_size or SMALLEST_SIZE),
            **hourly_sums(grid, trades, start),
            "volatility_measures": day_measures(grid, trades, start),
        }
    named: dict[str, Any] = {"market_id": market_id, "token_id": token_id, "data_fingerprint": data_fingerprint}
    named |= {"price_min": price_min, "price_max": price_max, "tick_size": tick_size or step, "price_step": step}
    counts = _counts(trades, sides, books, usable, start) | {"n_other_token": n_other_token, "n_mirrored": n_mirrored}
    return ImpactStatistics(timestamp=day_start(day), code_version=CODE_VERSION, **named, **counts, **_finite(sums))


def _finite(sums: dict[str, Float64Array1D]) -> dict[str, Any]:
    """Return the sums as columns, with NaN for what overflowed."""
    columns: dict[str, Any] = {name: np.where(np.isfinite(values), values, np.nan) for name, values in sums.items()}
    return columns | {"covered_s": float(columns["spread_s"].sum()), "cost_unit": float(columns["cost_unit"])}


def _counts(trades: Trades, sides: SideCounts, books: OrderBooks, usable: OrderBooks, start: int) -> dict[str, Any]:
    return {
        "n_trades": len(trades),
        "n_unsigned": sides.n_unsigned,
        "n_side_checked": sides.n_checked,
        "n_side_agreeing": sides.n_agreeing,
        "n_snapshots": len(books),
        "n_usable": len(usable),
        "first_snapshot_s": float(books.times[0] - start) / US_PER_S if len(books) else None,
        "last_mid": float(usable.mids[-1]) if len(usable) else None,
    }
