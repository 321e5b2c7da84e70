"""The digest of a day's market data: SQL that gives the same integers in DuckDB and in QuestDB.

Each number x becomes two exact integers, its multiples of 2^-8 and what remains in multiples of 2^-50: adding and
subtracting 1.5 * 2^52 units rounds to whole units by IEEE 754 alone. A ladder is first weighted by 1/(i + c), i the
level, so that a change at any level shows; its parts then add up exactly in any order, being whole multiples of a unit
whose total stays below 2^53 units. A row mixes its parts and its time modulo the prime 2^31 - 1 and is squared, so
that changes in two rows do not cancel; rows add up as integers. No order, no rounding, and no product above 2^62. Our
choice: QuestDB 9.3 cannot hash a row. Changes below 2^-50 (1e-15) and in values beyond 1e13 are not seen.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tributary_pipelines.core.units import US_PER_DAY, from_us
from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.base import DayFingerprint

_PRIME = "2147483647"
#: A second prime for time, so that moving a row by 2^31 - 1 microseconds shows as well.
_TIME_PRIME = "2147483629"
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
_COARSE, _FINE = 2.0**-8, 2.0**-50

#: One row of a query: day since the epoch, rows, first and last time in microseconds, sum of the rows' mixes.
DayRow = Sequence[int]


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one database says what the digest needs.

    ``as_long`` makes a whole number of ``{}``, null when it is none; ``weighted`` weights the ladder ``{}`` by level;
    ``sum_of`` adds up ``{part}`` over the elements of the ladder ``{x}``, each of them called ``element``; ``divided``
    is the whole part of ``us`` over a day.
    """

    as_long: str
    weighted: str
    element: str
    sum_of: str
    divided: str


DUCKDB = Dialect(
    as_long="TRY_CAST({} AS BIGINT)",
    weighted="list_transform({}, lambda v, i: v * (1e0 / (i + 0.6180267333984375::DOUBLE)))",
    element="v",
    sum_of="list_sum(list_transform({x}, lambda v: {part}))",
    divided="us // {}",
)
QUESTDB = Dialect(
    as_long="cast({} as long)",
    # The running sum of an empty array is null, which no array can be multiplied with.
    weighted="CASE WHEN array_count({}) > 0 THEN"
    " {} * (1e0 / (array_cum_sum(array_build(1, {}, 1e0)) + 0.6180267333984375)) ELSE ARRAY[0e0] END",
    element="{x}",
    sum_of="array_sum({part})",
    divided="us / {}",
)


def trades_query(source: str, dialect: Dialect, by: Sequence[str] = ()) -> str:
    """Return the query of DayRows from a query with columns us, price, size, sign.

    Parameters
    ----------
    by
        Further columns of the source; each combination of their values has rows of its own, which begin with them.
    """
    parts = [*_number_parts("price", dialect), *_number_parts("size", dialect), "sign"]
    return _by_day(source, parts, dialect, by)


def snapshots_query(source: str, dialect: Dialect, by: Sequence[str] = ()) -> str:
    """Return the query of DayRows from a query with columns us and the four ladders; ``by`` as above."""
    weighted = (" AS ".join((dialect.weighted.replace("{}", name), name)) for name in LADDERS)
    source = " ".join(("SELECT", ", ".join((*by, "us", *weighted)), "FROM (", source, ")"))
    return _by_day(source, [part for name in LADDERS for part in _ladder_parts(name, dialect)], dialect, by)


def fingerprints(trades: Iterable[DayRow], snapshots: Iterable[DayRow]) -> list[DayFingerprint]:
    """Join the rows of both queries to one fingerprint a day, in order."""
    by_day = {int(row[0]): (row, _EMPTY) for row in trades}
    by_day |= {int(row[0]): (by_day.get(int(row[0]), (_EMPTY, _EMPTY))[0], row) for row in snapshots}
    return [_fingerprint(day, *by_day[day]) for day in sorted(by_day)]


_EMPTY: DayRow = (0, 0, 0, 0, 0)


def _fingerprint(day: int, trades: DayRow, snapshots: DayRow) -> DayFingerprint:
    held = [row for row in (trades, snapshots) if row[1]]
    content = ",".join(str(int(part)) for part in (1, trades[1], trades[4], snapshots[1], snapshots[4]))
    return DayFingerprint(
        day=datetime.fromtimestamp(day * US_PER_DAY // 1_000_000, tz=UTC).date(),
        n_trades=int(trades[1]),
        n_snapshots=int(snapshots[1]),
        first_at=from_us(min(row[2] for row in held)),
        last_at=from_us(max(row[3] for row in held)),
        digest=hashlib.sha256(content.encode()).hexdigest()[:32],
    )


def _by_day(source: str, parts: list[str], dialect: Dialect, by: Sequence[str]) -> str:
    day = " ".join((dialect.divided.replace("{}", str(US_PER_DAY)), "AS day"))
    mixed = " ".join(("SELECT", ", ".join((*by, "us", _mixed(parts))), "AS r FROM (", source, ")"))
    squared = " ".join(("(r * ((r + 1013904223) %", _PRIME, ")) %", _PRIME))
    return " ".join(
        (
            "SELECT", ", ".join((*by, day)), ", count(*), min(us), max(us), sum(", squared, ") FROM (", mixed, ")",
            "GROUP BY", ", ".join((*by, "day")),
        )
    )  # fmt: skip


def _mixed(parts: list[str]) -> str:
    terms = [("us", _PRIME), ("us", _TIME_PRIME), *((part, _PRIME) for part in parts)]
    mixed = (
        " ".join(("((coalesce(", term, ", 0) %", modulus, ") *", str(factor), ") %", _PRIME))
        for (term, modulus), factor in zip(terms, _FACTORS, strict=False)
    )
    return "".join(("((", ") + (".join(mixed), ")) % ", _PRIME))


def _number_parts(x: str, dialect: Dialect) -> list[str]:
    return [_whole(part, unit, dialect) for part, unit in zip(_parts(x), (_COARSE, _FINE), strict=True)]


def _ladder_parts(ladder: str, dialect: Dialect) -> list[str]:
    sums = (dialect.sum_of.replace("{part}", part).replace("{x}", ladder) for part in _parts(dialect.element))
    return [_whole(total, unit, dialect) for total, unit in zip(sums, (_COARSE, _FINE), strict=True)]


def _parts(x: str) -> tuple[str, str]:
    coarse = _rounded(x, _COARSE)
    return coarse, _rounded("".join(("(", x, " - ", coarse, ")")), _FINE)


def _rounded(x: str, unit: float) -> str:
    shift = _literal(1.5 * 2.0**52 * unit)
    return "".join(("((", x, " + ", shift, ") - ", shift, ")"))


def _whole(x: str, unit: float, dialect: Dialect) -> str:
    return dialect.as_long.replace("{}", " * ".join((x, _literal(1 / unit))))


def _literal(value: float) -> str:
    # With an exponent both databases read a double; without one DuckDB reads a decimal.
    return "".join((str(int(value)), "e0"))
