"""Generated market data for the conformance suite, and what every question must answer about it in plain Python.

A case is one token's writes in the order they are made. The reference applies them to a dictionary (an upsert keeps the
place of the first row of a key) and answers from there with loops and pandas, by other code than any store's.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tributary_pipelines.core.frames import ORDERBOOK_SNAPSHOTS, TRADES, Frame

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 5, tzinfo=UTC)
_PRIME, _TIME_PRIME = 2147483647, 2147483629
_FACTORS = (
    1103515245,
    1540483477,
    1812433253,
    214013,
    1597334677,
    1181783497,
    747796405,
    918273645,
    630360016,
    950706376,
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """One token's data: what it shows, and the writes that bring it into a store."""

    name: str
    market_id: str
    token_id: str
    writes: tuple[tuple[Frame, tuple[Row, ...]], ...]

    def stored(self, frame: Frame) -> list[Row]:
        """Return the rows that a store must hold afterwards, by time, ties in arrival order."""
        held: dict[tuple[Any, ...], Row] = {}
        for written, rows in self.writes:
            if written == frame:
                for row in rows:
                    held[tuple(row[name] for name in frame.key)] = row
        return sorted(held.values(), key=lambda row: row["timestamp"])


def as_frame(frame: Frame, rows: tuple[Row, ...] | list[Row]) -> pd.DataFrame:
    """Return rows as a frame with aware times."""
    table = pd.DataFrame(
        list(rows), columns=[c.name for c in frame.columns if rows and c.name in rows[0]], dtype=object
    )
    for column in frame.columns:
        if column.kind == "timestamp" and column.name in table:
            table[column.name] = pd.to_datetime(table[column.name], utc=True)
    return table


def trade(case: str, second: float, price: float, size: float, side: str | None, trade_id: str, **other: Any) -> Row:
    """Return one trade of a case, ``second`` seconds after START."""
    return {
        "timestamp": START + timedelta(microseconds=round(second * 1e6)),
        "market_id": other.get("market_id", case),
        "token_id": other.get("token_id", f"{case}-yes"),
        "side": side,
        "trade_id": trade_id,
        "price": price,
        "size": size,
        "value": price * size,
        "is_buyer_maker": side == "sell",
        "received_at": None,
        "side_source": "venue" if side else None,
        "id_kind": "native",
    }


def book(
    case: str, second: float, bids: list[tuple[float, float]], asks: list[tuple[float, float]], **other: Any
) -> Row:
    """Return one snapshot of a case; ladders best first, a missing side empty and its derived numbers null."""
    best_bid, best_ask = bids[0][0] if bids else None, asks[0][0] if asks else None
    both = best_bid is not None and best_ask is not None
    mid = (best_bid + best_ask) / 2 if both else None  # type: ignore[operator]
    spread = best_ask - best_bid if both else None  # type: ignore[operator]
    return {
        "timestamp": START + timedelta(microseconds=round(second * 1e6)),
        "market_id": other.get("market_id", case),
        "token_id": other.get("token_id", f"{case}-yes"),
        "best_bid": best_bid,
        "best_ask": best_ask,
        "bid_size": bids[0][1] if bids else None,
        "ask_size": asks[0][1] if asks else None,
        "mid_price": mid,
        "spread": spread,
        "spread_bps": 1e4 * spread / mid if spread is not None and mid is not None else None,
        "total_bid_volume": float(sum(size for _, size in bids)),
        "total_ask_volume": float(sum(size for _, size in asks)),
        "bid_prices": [price for price, _ in bids],
        "bid_sizes": [size for _, size in bids],
        "ask_prices": [price for price, _ in asks],
        "ask_sizes": [size for _, size in asks],
        "received_at": START + timedelta(seconds=second + 1),
        "source": "rest",
    }


def random_case(seed: int, n_trades: int = 400, n_books: int = 300) -> Case:
    """Return a token with everything at once: gaps, ties, unknown sides, deep, thin, one-sided and crossed books."""
    rng = np.random.default_rng(seed)
    name = f"random-{seed}"
    # Whole seconds make ties; squaring leaves gaps of hours.
    seconds = np.sort(np.floor(rng.random(n_trades) ** 2 * 4 * 86_400))
    rows = [
        trade(name, s, float(p), float(z), side, f"{rng.integers(10**9)}-{k}")
        for k, (s, p, z, side) in enumerate(
            zip(
                seconds,
                np.round(rng.uniform(0.01, 0.99, n_trades), 4),
                np.exp(rng.normal(3, 4, n_trades)),
                rng.choice(np.array(["buy", "sell", None], object), n_trades),
                strict=True,
            )
        )
    ]
    late = [rows.pop(int(k)) for k in sorted(rng.choice(len(rows), 40, replace=False), reverse=True)]
    corrected = [{**rows[int(k)], "price": 0.5, "value": rows[int(k)]["size"] / 2} for k in rng.choice(len(rows), 20)]
    books = [_random_book(rng, name, float(s)) for s in np.unique(rng.integers(0, 4 * 86_400_000, n_books)) / 1e3]
    return Case(
        name, name, f"{name}-yes",
        (
            (TRADES, tuple(rows)), (TRADES, tuple(late)), (TRADES, tuple(corrected)),
            (ORDERBOOK_SNAPSHOTS, tuple(books[100:])), (ORDERBOOK_SNAPSHOTS, tuple(books[:150])),
        ),
    )  # fmt: skip


def _random_book(rng: np.random.Generator, name: str, second: float) -> Row:
    n_bids, n_asks = int(rng.integers(0, 30)), int(rng.integers(0, 30))
    middle = rng.uniform(0.3, 0.7)
    bids = sorted({float(p) for p in np.round(middle - rng.random(n_bids) * 0.25, 3)}, reverse=True)
    asks = sorted({float(p) for p in np.round(middle + rng.random(n_asks) * 0.25 - 0.01, 3)})
    return book(
        name,
        second,
        [(p, float(z)) for p, z in zip(bids, np.exp(rng.normal(3, 4, len(bids))), strict=True)],
        [(p, float(z)) for p, z in zip(asks, np.exp(rng.normal(3, 4, len(asks))), strict=True)],
    )


def _hostile() -> Case:
    market, token = "'; DROP TABLE trades; --\\", 'Ünï"%s $1 {x}\n🎲 ../../etc'
    ids = {"market_id": market, "token_id": token}
    rows = tuple(trade("", k * 60.0, 0.4 + k / 100, 10.0, "buy", f"';{k}\"", **ids) for k in range(5))
    books = tuple(book("", k * 60.0, [(0.4, 1.0)], [(0.5, 2.0)], **ids) for k in range(5))
    return Case("hostile names", market, token, ((TRADES, rows), (ORDERBOOK_SNAPSHOTS, books)))


def _written(name: str, trades: list[list[Row]], books: list[list[Row]]) -> Case:
    writes = [(TRADES, tuple(rows)) for rows in trades] + [(ORDERBOOK_SNAPSHOTS, tuple(rows)) for rows in books]
    return Case(name, name, f"{name}-yes", tuple(writes))


def all_cases() -> list[Case]:
    """Return every case; the two tokens of one market come as two cases."""
    two = [((0.4, 10.0), (0.39, 5.5)), ((0.6, 7.25),)]
    day = 86_400.0
    gaps = [trade("gaps", s, 0.3 + s / 1e6, 5.0, "buy", f"g{s}") for s in (10.0, 3 * 3600.0, 2 * day + 5, 3 * day + 7)]
    # Ids sort otherwise than they arrive, prices differ, and the second write adds to an old tie.
    ties = [[trade("ties", 5.0, p, 1.0, "sell", i) for p, i in ((0.5, "z"), (0.7, "a"), (0.6, "m"))],
            [trade("ties", 5.0, 0.65, 2.0, "buy", "b"), trade("ties", 4.0, 0.2, 2.0, "buy", "y")]]  # fmt: skip
    twice = [trade("duplicates", k * 30.0, 0.5, 1.0 + k, "buy", f"d{k}") for k in range(6)]
    fixed = [{**twice[2], "price": 0.55, "side": None, "side_source": None}, twice[2], {**twice[2], "size": 9.0}]
    twin = [book("duplicates", k * 30.0, *map(list, two)) for k in range(4)]
    moved = [book("duplicates", 30.0, [(0.41, 3.0)], [(0.6, 7.25), (0.61, 1.0)])]
    sided = [
        ([(0.4, 2.0)], []),
        ([], [(1.0, 3.0)]),
        ([], []),
        ([(0.7, 1.0)], [(0.6, 1.0)]),
        ([(0.5, 1.0)], [(0.5, 2.0)]),
    ]
    one_sided = [book("one-sided", k * 10.0, *ladders) for k, ladders in enumerate(sided)]
    edges = (day - 1e-6, day, day + 1e-6, 2 * day - 1e-6, 2 * day)
    midnight = [trade("midnight", s, 0.5 + k / 100, 1.5, "buy", f"m{k}") for k, s in enumerate(edges)]
    midnight_books = [book("midnight", s, *map(list, two)) for s in edges]
    yes = [trade("pair", k * 77.0, 0.3, 2.0, "buy", f"p{k}") for k in range(30)]
    no = [trade("pair", k * 91.0, 0.7, 3.0, "sell", f"p{k}", token_id="pair-no") for k in range(30)]
    extreme = [
        trade("extreme", 1.0, 1e-9, 1e12, "buy", "x1"),
        trade("extreme", 2.0, 1e-15, 123456789.123456789, "buy", "x2"),
        trade("extreme", 3.0, 98765.4321, 1e-8, "sell", "x3"),
        trade("extreme", 4.0, 1e300, 1e-300, None, "x4"),
    ]
    deep = [book("extreme", 9.0, [(1 - k / 1000, 1e9 / (k + 1)) for k in range(600)], [(1 + 1e-9, 1e-9)])]
    return [
        _written("gaps", [gaps], [[book("gaps", s, *map(list, two)) for s in (0.0, 1.0, 3 * day)]]),
        _written("ties", ties, []),
        _written("duplicates", [[*twice, twice[1]], twice, fixed], [twin, twin, moved]),
        _written("one-sided", [], [one_sided]),
        _written("empty", [], []),
        _written("single", [[trade("single", 100.0, 0.42, 17.0, "buy", "only")]], []),
        _written("midnight", [midnight], [midnight_books]),
        _written("pair", [yes], []),
        Case("pair, other token", "pair", "pair-no", ((TRADES, tuple(no)),)),
        _written("extreme", [extreme], [deep]),
        _hostile(),
        *(random_case(seed) for seed in range(3)),
    ]  # fmt: skip


def in_window(rows: list[Row], start: datetime, end: datetime) -> list[Row]:
    """Return the rows of [start, end)."""
    return [row for row in rows if start <= row["timestamp"] < end]


def us(moment: datetime) -> int:
    """Return microseconds since the epoch."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def sign(row: Row) -> int:
    """Return +1 for a buy, -1 for a sell, 0 for an unknown side."""
    return {"buy": 1, "sell": -1}.get(row["side"], 0)


def bars(rows: list[Row], width_us: int) -> pd.DataFrame:
    """Return bars of trades by plain loops; intervals without a trade have no row."""
    groups: dict[tuple[int, str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((us(row["timestamp"]) // width_us * width_us, row["market_id"], row["token_id"]), []).append(
            row
        )
    made = []
    for (start, market, token), held in sorted(groups.items(), key=lambda item: item[0]):
        prices, sizes = [r["price"] for r in held], [r["size"] for r in held]
        notional, volume = sum(p * z for p, z in zip(prices, sizes, strict=True)), sum(sizes)
        signed = sum(sign(r) * r["size"] for r in held)
        made.append((pd.Timestamp(start, unit="us", tz="UTC"), market, token, prices[0], max(prices), min(prices),
                     prices[-1], notional / volume, volume, notional, signed, len(held)))  # fmt: skip
    names = ["timestamp", "market_id", "token_id", "open", "high", "low", "close", "vwap", "volume", "notional",
             "signed_volume", "n_trades"]  # fmt: skip
    return pd.DataFrame(made, columns=names)


def fingerprints(trades: list[Row], books: list[Row]) -> list[tuple[date, int, int, datetime, datetime, str]]:
    """Return the day fingerprints, computed one number at a time with Python's integers."""
    days = sorted({row["timestamp"].date() for row in (*trades, *books)})
    found = []
    for day in days:
        of_day = [[row for row in rows if row["timestamp"].date() == day] for rows in (trades, books)]
        sums = [sum(_trade_mix(row) for row in of_day[0]), sum(_book_mix(row) for row in of_day[1])]
        times = [row["timestamp"] for rows in of_day for row in rows]
        content = f"1,{len(of_day[0])},{sums[0]},{len(of_day[1])},{sums[1]}"
        digest = hashlib.sha256(content.encode()).hexdigest()[:32]
        found.append((day, len(of_day[0]), len(of_day[1]), min(times), max(times), digest))
    return found


def _trade_mix(row: Row) -> int:
    return _mix(row, [*_units([row["price"]]), *_units([row["size"]]), sign(row)])


def _book_mix(row: Row) -> int:
    parts = []
    for name in ("bid_prices", "bid_sizes", "ask_prices", "ask_sizes"):
        parts += _units([x * (1.0 / (level + 0.6180267333984375)) for level, x in enumerate(row[name], start=1)])
    return _mix(row, parts)


def _units(values: list[float]) -> list[int]:
    coarse_shift, fine_shift = 1.5 * 2.0**44, 6.0
    coarse = [(x + coarse_shift) - coarse_shift for x in values]
    fine = [((x - c) + fine_shift) - fine_shift for x, c in zip(values, coarse, strict=True)]
    totals = (sum(coarse) * 256.0, sum(fine) * 2.0**50)
    return [int(total) if abs(total) < 2.0**63 else 0 for total in totals]


def _mix(row: Row, parts: list[int]) -> int:
    moment = us(row["timestamp"])
    terms = [(moment, _PRIME), (moment, _TIME_PRIME), *((part, _PRIME) for part in parts)]
    mixed = [_rest(_rest(v, m) * f, _PRIME) for (v, m), f in zip(terms, _FACTORS, strict=False)]
    r = _rest(sum(mixed), _PRIME)
    return _rest(r * _rest(r + 1013904223, _PRIME), _PRIME)


def _rest(value: int, modulus: int) -> int:
    """Return the remainder with the sign of the value, as databases do."""
    return value % modulus if value >= 0 else -(-value % modulus)
