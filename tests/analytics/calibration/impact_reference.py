"""The sums of a window computed at once, in plain loops over all its days: what combining days must equal.

Defined by the same words as the package (nothing crosses 00:00 UTC), written without any of its code.
"""

from bisect import bisect_right
from collections import defaultdict
from itertools import pairwise

import numpy as np

from tests.analytics.markets import START_US
from tributary_pipelines.core.frames import OrderBooks, Trades

DAY_US = 86_400_000_000
LAGS_S = (300, 450, 600, 900, 1_200, 1_800, 2_700, 3_600, 5_400, 7_200, 10_800, 16_200, 21_600, 32_400, 43_200)


def window_sums(trades: Trades, books: OrderBooks, n_days: int, tick: float, guard_s: float, limit_s: float) -> dict:
    times = [int(t) - START_US for t in books.times]
    usable = [i for i in range(len(times)) if books.best_bids[i] < books.best_asks[i]]
    reach = {day: _reach(times, day, limit_s) for day in range(n_days)}
    grid = _grid(times, usable, books, reach, n_days)
    return (
        _spread(times, usable, books, reach)
        | _moves(grid)
        | _lags(grid, _flow(trades, guard_s), n_days)
        | _slopes(times, set(usable), books, reach, n_days, tick)
    )


def _reach(times: list[int], day: int, limit_s: float) -> float:
    inside = sorted(t for t in times if t // DAY_US == day)
    gaps = [b - a for a, b in pairwise(inside)]
    return max(limit_s * 1e6, 3 * float(np.median(gaps)) if gaps else 0)


def _grid(times, usable, books, reach, n_days) -> np.ndarray:
    seen = [times[i] for i in usable]
    mids = np.full(n_days * 8_640, np.nan)
    for k in range(len(mids)):
        at = k * 10_000_000
        j = bisect_right(seen, at) - 1
        if j >= 0 and seen[j] // DAY_US == at // DAY_US and at - seen[j] <= reach[at // DAY_US]:
            i = usable[j]
            mids[k] = (books.bid_prices[i, 0] + books.ask_prices[i, 0]) / 2
    return mids


def _spread(times, usable, books, reach) -> dict:
    total = {"spread_time": 0.0, "spread_s": 0.0}
    for j, i in enumerate(usable):
        day = times[i] // DAY_US
        until = min(times[i] + reach[day], (day + 1) * DAY_US)
        if j + 1 < len(usable):
            until = min(until, times[usable[j + 1]])
        held = (until - times[i]) / 1e6
        total["spread_s"] += held
        total["spread_time"] += held * (books.ask_prices[i, 0] - books.bid_prices[i, 0]) / 2
    return total


def _moves(grid) -> dict:
    day = np.arange(len(grid)) // 8_640
    move_sq, n_moves = [], []
    for lag_s in LAGS_S:
        n = lag_s // 10
        moves = (grid[n:] - grid[:-n])[day[n:] == day[:-n]]
        moves = moves[~np.isnan(moves)]
        move_sq.append(float(np.sum(moves**2)))
        n_moves.append(len(moves))
    return {"move_sq": np.array(move_sq), "n_moves": np.array(n_moves)}


def _flow(trades, guard_s) -> dict[int, float]:
    flow: dict[int, float] = defaultdict(float)
    for time, size, sign in zip(trades.times, trades.sizes, trades.signs, strict=True):
        at = int(time) - START_US
        shifted = at - round(guard_s * 1e6)
        if shifted >= 0 and shifted // DAY_US == at // DAY_US:
            flow[shifted // 60_000_000] += float(sign) * float(size)
    return flow


def _lags(grid, flow, n_days) -> dict:
    rows, moves = [], []
    for k in range(n_days * 1_440):
        if not 10 <= k % 1_440 <= 1_438:
            continue
        move = grid[6 * (k + 1)] - grid[6 * k]
        if not np.isnan(move):
            rows.append([flow.get(k + 1, 0.0), *(flow.get(k - lag, 0.0) for lag in range(11))])
            moves.append(move)
    x, y = np.array(rows).reshape(-1, 12), np.array(moves)
    return {"lag_xtx": x.T @ x, "lag_xty": x.T @ y, "lag_yty": y @ y, "n_buckets": len(y)}


def _slopes(times, usable, books, reach, n_days, tick) -> dict:
    chosen = set()
    for k in range(n_days * 288):
        at = k * 300_000_000
        i = bisect_right(times, at) - 1
        if i >= 0 and times[i] // DAY_US == at // DAY_US and at - times[i] <= reach[at // DAY_US] and i in usable:
            chosen.add(i)
    total = dict.fromkeys(("slope_sum", "slope_sq", "slope_buy_sum", "slope_sell_sum", "n_slopes"), 0.0)
    for i in chosen:
        asks = _near(books.ask_prices[i], books.ask_sizes[i], tick)
        bids = _near(books.bid_prices[i], books.bid_sizes[i], tick)
        mid = (asks[0][0] + bids[0][0]) / 2
        depth = min(sum(size for _, size in side) for side in (asks, bids))
        sizes = [depth / 32, depth / 16, depth / 8, depth / 4, depth / 2, depth]
        buy = [_vwap(asks, n) - mid for n in sizes]
        sell = [mid - _vwap(bids, n) for n in sizes]
        b = np.polyfit(sizes * 2, buy + sell, 1)[0]
        total["slope_sum"] += b
        total["slope_sq"] += b * b
        total["slope_buy_sum"] += np.polyfit(sizes, buy, 1)[0]
        total["slope_sell_sum"] += np.polyfit(sizes, sell, 1)[0]
        total["n_slopes"] += 1
    return total


def _near(prices, sizes, tick) -> list[tuple[float, float]]:
    levels = [(p, s) for p, s in zip(prices, sizes, strict=True) if not np.isnan(p)]
    return [(p, s) for p, s in levels if abs(p - levels[0][0]) <= 25 * tick + 1e-9]


def _vwap(levels, quantity) -> float:
    left, paid = quantity, 0.0
    for price, size in levels:
        taken = min(left, size)
        paid += taken * price
        left -= taken
    return paid / quantity
