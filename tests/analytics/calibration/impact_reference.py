"""The sums of a window computed at once, in plain loops over all its days: what the days put together must equal.

Defined by the same words as the package (nothing crosses 00:00 UTC), written without any of its code. Every column
has the rows of all 2 h blocks of the window, except those of ``span_counts``, ``cost_*`` and ``hour_*``.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from itertools import pairwise
from math import exp, log

import numpy as np

from tests.analytics.markets import START_US
from tributary_pipelines.core.frames import OrderBooks, Trades

DAY_US = 86_400_000_000
BLOCK_US = DAY_US // 12
LAGS_S = (
    300, 340, 390, 450, 520, 600, 680, 780, 900, 1_030, 1_180, 1_360, 1_560, 1_790, 2_050, 2_350, 2_700, 3_100,
    3_550, 3_600, 4_080, 4_680, 5_360, 6_150, 7_060, 8_100, 9_290, 10_660, 12_230, 14_030, 16_090, 18_460, 21_180,
    24_300, 27_880, 31_980, 36_690, 42_090,
)  # fmt: skip
GROUPS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 10), (11, 14), (15, 20), (21, 29), (30, 44), (45, 59))
GROUPS += ((60, 89), (90, 119), (120, 179))
WIDE_GROUPS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 11), (12, 17), (18, 23), (24, 35))
#: Forty half-lives from 10 s to 2 h, evenly apart in logs.
RATES_PER_S = np.array([log(2) / (10 * 720 ** (i / 39)) for i in range(40)])


def window_sums(trades: Trades, books: OrderBooks, n_days: int, tick: float, guard_s: float, lot: float) -> dict:
    """All sums, with a staleness limit of 30 s and price bounds 0 and 1."""
    times = [int(t) - START_US for t in books.times]
    usable = [i for i in range(len(times)) if books.bid_prices[i, 0] < books.ask_prices[i, 0]]
    reach = {day: _reach(times, day, 30.0) for day in range(n_days)}
    grid = _grid(times, usable, books, reach, n_days)
    tape = _tape(trades, times, usable, books, reach)
    flow = _minute_flow([(at, size) for at, size, _ in tape], guard_s, n_days)
    sampled = _sampled(times, set(usable), reach, n_days)
    return (
        _spread(times, usable, books, reach, n_days)
        | _moves(grid, n_days)
        | _lags("lag", grid[::6], flow, GROUPS, 1_440)
        | _lags("wide", grid[::30], flow.reshape(-1, 5).sum(axis=1), WIDE_GROUPS, 288)
        | _decay(grid[::6], tape, n_days)
        | _traded(tape, n_days)
        | _slopes(times, sampled, books, n_days, tick)
        | _displayed(sampled, books, lot)
        | _hours(grid, tape, n_days)
    )


def _reach(times: list[int], day: int, limit_s: float) -> float:
    inside = sorted(t for t in times if t // DAY_US == day)
    gaps = [b - a for a, b in pairwise(inside)]
    return max(limit_s * 1e6, 3 * float(np.median(gaps)) if gaps else 0)


def _mid(books: OrderBooks, i: int) -> float:
    return (books.bid_prices[i, 0] + books.ask_prices[i, 0]) / 2


def _grid(times, usable, books, reach, n_days) -> np.ndarray:
    seen = [times[i] for i in usable]
    mids = np.full(n_days * 8_640, np.nan)
    for k in range(len(mids)):
        at = k * 10_000_000
        j = bisect_right(seen, at) - 1
        if j >= 0 and seen[j] // DAY_US == at // DAY_US and at - seen[j] <= reach[at // DAY_US]:
            mids[k] = _mid(books, usable[j])
    return mids


def _tape(trades, times, usable, books, reach) -> list[tuple[int, float, float]]:
    """(time, signed size, size) of each trade; unknown sides by the quote before it, else by the last price change."""
    seen = [times[i] for i in usable]
    tape, before, change, of_day = [], 0.0, 0, -1
    for time, price, size, sign in zip(trades.times, trades.prices, trades.sizes, trades.signs, strict=True):
        at = int(time) - START_US
        if at // DAY_US != of_day:
            before, change, of_day = price, 0, at // DAY_US
        change = int(np.sign(round(price - before, 9))) or change
        j, side = bisect_left(seen, at) - 1, 0
        if j >= 0 and seen[j] // DAY_US == of_day and at - seen[j] <= reach[of_day]:
            side = int(np.sign(round(price - _mid(books, usable[j]), 9)))
        tape.append((at, (int(sign) or side or change or 1) * float(size), float(size)))
        before = price
    return tape


def _spread(times, usable, books, reach, n_days) -> dict:
    total = {"spread_time": np.zeros(n_days * 12), "spread_s": np.zeros(n_days * 12)}
    for j, i in enumerate(usable):
        day = times[i] // DAY_US
        until = min(times[i] + reach[day], (day + 1) * DAY_US)
        if j + 1 < len(usable):
            until = min(until, times[usable[j + 1]])
        held = (until - times[i]) / 1e6
        total["spread_s"][times[i] // BLOCK_US] += held
        total["spread_time"][times[i] // BLOCK_US] += held * (books.ask_prices[i, 0] - books.bid_prices[i, 0]) / 2
    return total


def _moves(grid, n_days) -> dict:
    total = {name: np.zeros((n_days * 12, len(LAGS_S))) for name in ("move_sq", "n_moves", "move_scale_sq")}
    block = np.arange(len(grid)) // 720
    for column, lag_s in enumerate(LAGS_S):
        n = lag_s // 10
        move = np.append(grid[n:] - grid[:-n], np.full(n, np.nan))
        is_row = (np.arange(len(grid)) % 8_640 < 8_640 - n) & ~np.isnan(move)
        for i in range(n_days * 12):
            mine = is_row & (block == i)
            total["move_sq"][i, column] = np.sum(move[mine] ** 2)
            total["n_moves"][i, column] = np.sum(mine)
            total["move_scale_sq"][i, column] = np.sum((grid[mine] * (1 - grid[mine])) ** 2)
    return total


def _minute_flow(signed, guard_s, n_days) -> np.ndarray:
    flow = np.zeros(n_days * 1_440)
    for at, size in signed:
        shifted = at - round(guard_s * 1e6)
        if shifted >= 0 and shifted // DAY_US == at // DAY_US:
            flow[shifted // 60_000_000] += size
    return flow


def _lags(name, mids, flow, groups, per_day) -> dict:
    """Ten minutes before a row must lie in its day, the lead too; flow before midnight counts as none."""
    n_blocks, p = len(flow) * 12 // per_day, len(groups) + 1
    xtx, xty, yty, rows = np.zeros((n_blocks, p, p)), np.zeros((n_blocks, p)), np.zeros(n_blocks), np.zeros(n_blocks)
    for k in range(len(flow)):
        midnight = k - k % per_day
        if not per_day // 144 <= k - midnight <= per_day - 2:
            continue
        move = mids[k + 1] - mids[k]
        if move != move:
            continue
        lagged = [sum(flow[max(k - last, midnight) : max(k - first + 1, midnight)]) for first, last in groups]
        x = np.array([flow[k + 1], *lagged])
        block = k * 12 // per_day
        xtx[block] += np.outer(x, x)
        xty[block] += x * move
        yty[block] += move * move
        rows[block] += 1
    upper = [(i, j) for i in range(p) for j in range(i, p)]
    packed = np.array([[xtx[block, i, j] for i, j in upper] for block in range(n_blocks)])
    return {f"{name}_xtx": packed, f"{name}_xty": xty, f"{name}_yty": yty} | (
        {"n_buckets": rows} if name == "lag" else {}
    )


def _decay(minutes, tape, n_days) -> dict:
    """Minutes that stay in their day; the flow still felt restarts at midnight and keeps the trades' own times."""
    base = np.zeros((n_days * 12, 3))
    yy, fy, my = np.zeros((3, n_days * 12, 40))
    by_minute = defaultdict(list)
    for at, size, _ in tape:
        by_minute[at // 60_000_000].append((at / 1e6, size))
    for day in range(n_days):
        felt = np.zeros(40)
        for k in range(day * 1_440, (day + 1) * 1_440 - 1):
            now = felt * np.array([exp(-rate * 60) for rate in RATES_PER_S])
            for at_s, size in by_minute[k]:
                now += size * np.exp(-RATES_PER_S * (60 * (k + 1) - at_s))
            change, felt = now - felt, now
            move, own = minutes[k + 1] - minutes[k], sum(size for _, size in by_minute[k])
            if move == move:
                base[k // 120] += own * own, own * move, move * move
                yy[k // 120] += change * change
                fy[k // 120] += own * change
                my[k // 120] += move * change
    return {"decay_base": base, "decay_yy": yy, "decay_fy": fy, "decay_my": my}


def _traded(tape, n_days) -> dict:
    total = {"traded": np.zeros(n_days * 12), "traded_sq": np.zeros(n_days * 12)}
    for at, _, size in tape:
        total["traded"][at // BLOCK_US] += size
        total["traded_sq"][at // BLOCK_US] += size * size
    return total


def _sampled(times, usable, reach, n_days) -> list[int]:
    chosen = set()
    for k in range(n_days * 288):
        at = k * 300_000_000
        i = bisect_right(times, at) - 1
        if i >= 0 and times[i] // DAY_US == at // DAY_US and at - times[i] <= reach[at // DAY_US] and i in usable:
            chosen.add(i)
    return sorted(chosen)


def _slopes(times, sampled, books, n_days, tick) -> dict:
    names = ("slope_sum", "slope_sq", "slope_buy_sum", "slope_sell_sum", "n_slopes", "depth_sum", "intercept_sum")
    total = {name: np.zeros(n_days * 12) for name in names} | {"curve_sum": np.zeros((n_days * 12, 6))}
    spans = np.zeros(26)
    for i in sampled:
        asks = _near(_ladder(books.ask_prices[i], books.ask_sizes[i]), tick)
        bids = _near(_ladder(books.bid_prices[i], books.bid_sizes[i]), tick)
        depth = min(sum(size for _, size in side) for side in (asks, bids))
        sizes = [depth / 32, depth / 16, depth / 8, depth / 4, depth / 2, depth]
        buy = [_vwap(asks, n) - _mid(books, i) for n in sizes]
        sell = [_mid(books, i) - _vwap(bids, n) for n in sizes]
        b, a = np.polyfit(sizes * 2, buy + sell, 1)
        one_sided = (np.polyfit(sizes, buy, 1)[0], np.polyfit(sizes, sell, 1)[0])
        for name, value in zip(names, (b, b * b, *one_sided, 1.0, depth, a), strict=True):
            total[name][times[i] // BLOCK_US] += value
        total["curve_sum"][times[i] // BLOCK_US] += [(one + other) / 2 for one, other in zip(buy, sell, strict=True)]
        spans[int(min(abs(side[-1][0] - side[0][0]) for side in (asks, bids)) / tick + 1e-6)] += 1
    return total | {"span_counts": spans}


def _displayed(sampled, books, lot) -> dict:
    total = {name: np.zeros(32) for name in ("cost_buy_sum", "cost_sell_sum", "n_cost_buy", "n_cost_sell")}
    for i in sampled:
        for side, sign, prices, sizes in (
            ("buy", 1, books.ask_prices[i], books.ask_sizes[i]),
            ("sell", -1, books.bid_prices[i], books.bid_sizes[i]),
        ):
            levels = _ladder(prices, sizes)
            for k in range(32):
                if lot * 2**k <= sum(size for _, size in levels):
                    total[f"cost_{side}_sum"][k] += sign * (_vwap(levels, lot * 2**k) - _mid(books, i))
                    total[f"n_cost_{side}"][k] += 1
    return total


def _hours(grid, tape, n_days) -> dict:
    total = {name: np.zeros(n_days * 24) for name in ("hour_move_sq", "hour_n_moves", "hour_volume")}
    for k in range(n_days * 288):
        move = grid[30 * (k + 1)] - grid[30 * k] if k % 288 < 287 else np.nan
        if move == move:
            total["hour_move_sq"][k // 12] += move**2
            total["hour_n_moves"][k // 12] += 1
    for at, _, size in tape:
        total["hour_volume"][at * 24 // DAY_US] += size
    return {name: values.reshape(n_days, 24) for name, values in total.items()}


def _ladder(prices, sizes) -> list[tuple[float, float]]:
    return [(p, s) for p, s in zip(prices, sizes, strict=True) if not np.isnan(p)]


def _near(levels, tick) -> list[tuple[float, float]]:
    return [(p, s) for p, s in levels if abs(p - levels[0][0]) <= 25 * tick + 1e-9]


def _vwap(levels, quantity) -> float:
    left, paid = quantity, 0.0
    for price, size in levels:
        taken = min(left, size)
        paid += taken * price
        left -= taken
    return paid / quantity
