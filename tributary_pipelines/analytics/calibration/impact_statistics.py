"""What one day of a token contributes to calibration: sums by 2 h block, on grids fixed in advance, that simply add.

A window of days is calibrated from these sums without reading its trades and snapshots again. Nothing crosses 00:00
UTC: mids, moves, lags and books of a day come from that day alone, so that the sums of a window equal the
window computed at once. What depends on the window (J, K, clusters of blocks) is chosen from the sums.

Mids lie on a 10 s grid: the last usable mid at or before, not older than the reach of a snapshot, else missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.analytics.book_costs import SPAN_TICKS, infer_tick
from tributary_pipelines.analytics.calibration.impact_sums import (
    bucket_flow,
    lag_sums,
    mids_on_grid,
    move_sums,
    reach_us,
    sampled_books,
    slope_sums,
    spread_sums,
)
from tributary_pipelines.analytics.calibration.lag_regression import BLOCKS_PER_DAY, N_REGRESSORS
from tributary_pipelines.analytics.two_scale import LAG_LADDER_S, price_scale
from tributary_pipelines.core.errors import CalibrationError
from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, Int64Array1D, OrderBooks, Trades
from tributary_pipelines.core.units import US_PER_DAY, US_PER_S, day_start, to_us

CODE_VERSION = "impact_statistics/1"

#: Shape of every array column; the first axis is the block except for the span histogram.
SHAPES: dict[str, tuple[int, ...]] = {
    **dict.fromkeys(("spread_time", "spread_s", "lag_yty", "n_buckets"), (BLOCKS_PER_DAY,)),
    **dict.fromkeys(("slope_sum", "slope_sq", "slope_buy_sum", "slope_sell_sum", "n_slopes"), (BLOCKS_PER_DAY,)),
    **dict.fromkeys(("move_sq", "n_moves", "move_scale_sq"), (BLOCKS_PER_DAY, len(LAG_LADDER_S))),
    "lag_xtx": (BLOCKS_PER_DAY, N_REGRESSORS, N_REGRESSORS),
    "lag_xty": (BLOCKS_PER_DAY, N_REGRESSORS),
    "span_counts": (SPAN_TICKS + 1,),
}


@dataclass(frozen=True, slots=True, eq=False)
class ImpactStatistics:
    """One row of core.result_frames.IMPACT_STATISTICS; arrays are float64 with the shapes of ``SHAPES``."""

    timestamp: datetime
    market_id: str
    token_id: str
    n_trades: int
    n_unsigned: int
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
    slope_sum: Float64Array1D
    slope_sq: Float64Array1D
    slope_buy_sum: Float64Array1D
    slope_sell_sum: Float64Array1D
    n_slopes: Float64Array1D
    span_counts: Float64Array1D
    tick_size: float | None
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
    stamp_guard_s: float = 10.0,
    staleness_limit_s: float = 30.0,
    price_min: float | None = None,
    price_max: float | None = None,
    data_fingerprint: str = "",
) -> ImpactStatistics:
    """Sum up one UTC day of a token.

    Parameters
    ----------
    trades, books : Trades, OrderBooks
        Ascending; rows outside the day are left out.
    tick_size : float, optional
        P; inferred from the displayed prices when None.
    stamp_guard_s : float
        Largest plausible lag of trade stamps behind the book, s; flow is counted this much earlier.
    staleness_limit_s : float
        How long a snapshot speaks for the market, s; 3 median gaps where snapshots are rarer.
    price_min, price_max : float, optional
        The market's declared price bounds.
    data_fingerprint : str
        Fingerprint of the day's raw data, carried along.

    Returns
    -------
    ImpactStatistics
        Sums that overflow are NaN, and what is estimated from them is refused later.
    """
    start = to_us(day_start(day))
    trades, books = trades.between(start, start + US_PER_DAY), books.between(start, start + US_PER_DAY)
    with np.errstate(over="ignore", invalid="ignore"):
        usable = books.rows(np.flatnonzero(np.isfinite(books.mids)))
        reach = reach_us(books.times, staleness_limit_s)
        sampled = sampled_books(books, start, reach)
        tick = tick_size if tick_size is not None else infer_tick(sampled)
        grid = mids_on_grid(usable, start, reach)
        sums = {
            **spread_sums(usable, start, reach),
            **move_sums(grid, price_scale(grid, price_min, price_max)),
            **lag_sums(grid, bucket_flow(trades, start, stamp_guard_s)),
            **slope_sums(sampled, tick, start),
        }
    return ImpactStatistics(
        timestamp=day_start(day),
        market_id=market_id,
        token_id=token_id,
        price_min=price_min,
        price_max=price_max,
        tick_size=tick,
        code_version=CODE_VERSION,
        data_fingerprint=data_fingerprint,
        **_counts(trades, books, usable, start),
        **_finite(sums),
    )


def _finite(sums: dict[str, Float64Array1D]) -> dict[str, Any]:
    """Return the sums as columns, with NaN for what overflowed."""
    columns: dict[str, Any] = {name: np.where(np.isfinite(values), values, np.nan) for name, values in sums.items()}
    return columns | {"covered_s": float(columns["spread_s"].sum())}


def _counts(trades: Trades, books: OrderBooks, usable: OrderBooks, start: int) -> dict[str, Any]:
    return {
        "n_trades": len(trades),
        "n_unsigned": int(np.count_nonzero(trades.signs == 0)),
        "n_snapshots": len(books),
        "n_usable": len(usable),
        "first_snapshot_s": float(books.times[0] - start) / US_PER_S if len(books) else None,
        "last_mid": float(usable.mids[-1]) if len(usable) else None,
    }


@dataclass(frozen=True, slots=True, eq=False)
class WindowStatistics:
    """The days of a window, side by side: sums per block stay apart, so that errors can be clustered.

    Parameters
    ----------
    days : tuple of ImpactStatistics
        Ascending by day, of one token; they need not be contiguous.
    """

    days: tuple[ImpactStatistics, ...]

    def count(self, name: str) -> int:
        """Return the sum of a count column over the days."""
        return sum(getattr(day, name) for day in self.days)

    def blocks(self, name: str) -> Float64Array1D:
        """Return an array column of all days, blocks outermost, (n_days * 12, ...)."""
        return (
            np.concatenate([getattr(day, name) for day in self.days]) if self.days else np.zeros((0, *SHAPES[name][1:]))
        )

    def total(self, name: str) -> Float64Array1D:
        """Return an array column summed over all blocks and days, of the shape of one block."""
        total: Float64Array1D = self.blocks(name).sum(axis=0)
        return total

    def newest(self, name: str) -> float | None:
        """Return a nullable column of the newest day that has it."""
        return next((value for day in reversed(self.days) if (value := getattr(day, name)) is not None), None)

    @property
    def n_days(self) -> int:
        """Days that hold data."""
        return sum(day.has_data for day in self.days)

    @property
    def covered_s(self) -> float:
        """Time within reach of a usable snapshot, s."""
        return float(sum(day.covered_s for day in self.days))

    @property
    def first_snapshot_at(self) -> datetime | None:
        """Time of the first snapshot; None when there is none."""
        for day in self.days:
            if day.first_snapshot_s is not None:
                return day.timestamp + timedelta(seconds=day.first_snapshot_s)
        return None

    @property
    def span_counts(self) -> Float64Array1D:
        """(26,) snapshots by the displayed span of their slope, in whole ticks."""
        return np.sum([day.span_counts for day in self.days], axis=0) if self.days else np.zeros(SPAN_TICKS + 1)

    @property
    def block_days(self) -> Int64Array1D:
        """(n_days * 12,) position of each block's day."""
        return np.repeat(np.arange(len(self.days)), BLOCKS_PER_DAY)


def combine_impact_statistics(days: Sequence[ImpactStatistics]) -> WindowStatistics:
    """Put the statistics of a token's days together.

    Raises
    ------
    CalibrationError
        Days of different tokens, the same day twice, or days made by different versions of the computation.
    """
    ordered = tuple(sorted(days, key=lambda day: day.timestamp))
    tokens = {(day.market_id, day.token_id) for day in ordered}
    if len(tokens) > 1:
        raise CalibrationError(
            f"impact statistics of several tokens {sorted(tokens)} cannot be combined; give one token's"
        )
    twice = {str(a.day) for a, b in pairwise(ordered) if a.day == b.day}
    if twice:
        raise CalibrationError(f"impact statistics hold {', '.join(sorted(twice))} more than once; give each day once")
    versions = {day.code_version for day in ordered}
    if len(versions) > 1:
        raise CalibrationError(f"impact statistics were made by versions {sorted(versions)}; recompute the older ones")
    return WindowStatistics(ordered)
