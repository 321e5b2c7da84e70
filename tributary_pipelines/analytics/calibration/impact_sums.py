"""The sums that one UTC day contributes, each kind on its grid: spread, mid moves, lagged flow, book slopes.

Regressions of mid moves on flow are summed in lag_regression.py and resilience.py, on the grids made here.

Called by impact_statistics.py, which owns their names and shapes. ``start`` is 00:00 of the day in microseconds; all
rows given lie inside the day.
"""

import numpy as np

from tributary_pipelines.analytics.book_costs import FRACTIONS, SPAN_TICKS, measure_book_slopes
from tributary_pipelines.analytics.calibration.lag_regression import (
    BUCKET_S,
    LAG_EDGES,
    WIDE_BUCKET_S,
    WIDE_LAG_EDGES,
    lag_sums,
)
from tributary_pipelines.analytics.calibration.resampling import BLOCKS_PER_DAY
from tributary_pipelines.analytics.calibration.resilience import resilience_sums
from tributary_pipelines.analytics.two_scale import GRID_S, LAG_LADDER_S
from tributary_pipelines.core.frames import Float64Array1D, Int64Array1D, OrderBooks, Trades
from tributary_pipelines.core.units import SECONDS_PER_DAY, US_PER_DAY, US_PER_S

SLOPE_EVERY_S = 300
_BLOCK_US = US_PER_DAY // BLOCKS_PER_DAY
_GRID_PER_DAY = SECONDS_PER_DAY // GRID_S
_GRID_PER_BUCKET = BUCKET_S // GRID_S
_BUCKETS_PER_DAY = SECONDS_PER_DAY // BUCKET_S
_N_LADDER = len(LAG_LADDER_S)


def reach_us(times: Int64Array1D, staleness_limit_s: float) -> float:
    """Return how long a snapshot speaks for the market: the limit, or 3 median gaps where snapshots are rarer, us."""
    gaps = np.diff(times)
    return max(staleness_limit_s * US_PER_S, 3.0 * float(np.median(gaps)) if len(gaps) else 0.0)


def mids_on_grid(usable: OrderBooks, start: int, reach_us: float) -> Float64Array1D:
    """Return the mids at 00:00:00, 00:00:10, ... of the day, (8640,) P, NaN where none is within reach."""
    grid = start + np.arange(_GRID_PER_DAY) * (GRID_S * US_PER_S)
    if not len(usable):
        return np.full(_GRID_PER_DAY, np.nan)
    last = np.searchsorted(usable.times, grid, side="right") - 1
    is_fresh = (last >= 0) & (grid - usable.times[last] <= reach_us)
    return np.where(is_fresh, usable.mids[last], np.nan)


def _by_block(values: Float64Array1D) -> Float64Array1D:
    """Return the sums of a day's values over its blocks; the values are equally many in each."""
    sums: Float64Array1D = values.reshape(BLOCKS_PER_DAY, -1).sum(axis=1)
    return sums


def _block_sums(times: Int64Array1D, start: int, **columns: Float64Array1D) -> dict[str, Float64Array1D]:
    blocks = (times - start) // _BLOCK_US
    return {name: _sum_at(blocks, values, BLOCKS_PER_DAY) for name, values in columns.items()}


def _sum_at(positions: Int64Array1D, values: Float64Array1D, n: int) -> Float64Array1D:
    return np.bincount(positions, values, minlength=n).astype(np.float64)


def spread_sums(usable: OrderBooks, start: int, reach_us: float) -> dict[str, Float64Array1D]:
    """Return half-spread times time, P*s, and time, s; a snapshot holds until the next, its reach or midnight.

    A snapshot's whole time counts in the block where it begins.
    """
    until = np.append(usable.times[1:], start + US_PER_DAY)
    held_s = np.minimum(until - usable.times, reach_us)[: len(usable)] / US_PER_S
    half = (usable.best_asks - usable.best_bids) / 2
    return _block_sums(usable.times, start, spread_time=half * held_s, spread_s=held_s)


def move_sums(grid: Float64Array1D, scale: Float64Array1D) -> dict[str, Float64Array1D]:
    """Return squared moves, counts and squared price scales at the start, each (blocks, lags).

    Parameters
    ----------
    grid, scale : (8640,) float64
        Mids, P, NaN where missing, and the price scale at each.
    """
    sums = {name: np.zeros((BLOCKS_PER_DAY, _N_LADDER)) for name in ("move_sq", "n_moves", "move_scale_sq")}
    scale_sq = np.square(scale)
    for column, lag_s in enumerate(LAG_LADDER_S):
        moves = np.full(_GRID_PER_DAY, np.nan)
        steps = lag_s // GRID_S
        np.subtract(grid[steps:], grid[:-steps], out=moves[:-steps])
        is_known = np.isfinite(moves)
        sums["move_sq"][:, column] = _by_block(np.where(is_known, moves * moves, 0.0))
        sums["n_moves"][:, column] = _by_block(is_known.astype(np.float64))
        sums["move_scale_sq"][:, column] = _by_block(np.where(is_known, scale_sq, 0.0))
    return sums


def bucket_flow(trades: Trades, start: int, stamp_guard_s: float) -> Float64Array1D:
    """Return bought minus sold shares of each minute, (1440,), with trade times a guard earlier."""
    shifted = trades.times - start - round(stamp_guard_s * US_PER_S)
    is_inside = shifted >= 0
    buckets = shifted[is_inside] // (BUCKET_S * US_PER_S)
    return _sum_at(buckets, (trades.signs * trades.sizes)[is_inside], _BUCKETS_PER_DAY)


def flow_sums(grid: Float64Array1D, trades: Trades, start: int, stamp_guard_s: float) -> dict[str, Float64Array1D]:
    """Return the sums of every regression of mid moves on flow, by block.

    Parameters
    ----------
    grid : (8640,) float64
        Mids, P, NaN where missing.
    """
    flow = bucket_flow(trades, start, stamp_guard_s)
    minutes = grid[::_GRID_PER_BUCKET]
    xtx, xty, yty, n_buckets = lag_sums(minutes, flow, LAG_EDGES, BUCKET_S, BLOCKS_PER_DAY)
    wide_flow = flow.reshape(-1, WIDE_BUCKET_S // BUCKET_S).sum(axis=1)
    wide = lag_sums(grid[:: WIDE_BUCKET_S // GRID_S], wide_flow, WIDE_LAG_EDGES, WIDE_BUCKET_S, BLOCKS_PER_DAY)
    signed = trades.signs * trades.sizes
    return {
        "lag_xtx": xtx,
        "lag_xty": xty,
        "lag_yty": yty,
        "n_buckets": n_buckets,
        "wide_xtx": wide[0],
        "wide_xty": wide[1],
        "wide_yty": wide[2],
        **resilience_sums(minutes, (trades.times - start) / US_PER_S, signed, BUCKET_S, BLOCKS_PER_DAY),
        **_block_sums(trades.times, start, traded=trades.sizes, traded_sq=trades.sizes**2),
    }


def sampled_books(books: OrderBooks, start: int, reach_us: float) -> OrderBooks:
    """Return the newest snapshot at every fifth minute, once each, unless it is stale, one-sided or crossed."""
    if not len(books):
        return books
    at = start + np.arange(0, SECONDS_PER_DAY, SLOPE_EVERY_S) * US_PER_S
    last = np.searchsorted(books.times, at, side="right") - 1
    last = np.unique(last[(last >= 0) & (at - books.times[last] <= reach_us)])
    return books.rows(last[np.isfinite(books.mids[last])])


def slope_sums(sampled: OrderBooks, tick: float | None, start: int) -> dict[str, Float64Array1D]:
    """Return the sums of the book slopes of sampled snapshots, and the histogram of their spans."""
    slopes = measure_book_slopes(sampled, tick)
    is_known = np.isfinite(slopes.both)
    times, both = sampled.times[is_known], slopes.both[is_known]
    spans = np.floor(slopes.spans[is_known] + 1e-6).astype(np.int64)
    sums = _block_sums(
        times,
        start,
        slope_sum=both,
        slope_sq=both**2,
        slope_buy_sum=slopes.buy[is_known],
        slope_sell_sum=slopes.sell[is_known],
        n_slopes=np.ones(len(times)),
        depth_sum=slopes.depths[is_known],
        intercept_sum=slopes.intercepts[is_known],
    )
    curve = np.column_stack(
        [_block_sums(times, start, cost=slopes.costs[is_known, i])["cost"] for i in range(len(FRACTIONS))]
    )
    return sums | {"curve_sum": curve} | {"span_counts": _sum_at(spans, np.ones(len(spans)), SPAN_TICKS + 1)}
