"""Daily impact statistics of a market or a series: read a day, sum it up, store it; read again only what changed.

Trades of the complement token of a market with declared price bounds are put on the token's own scale first: YES and NO
are one market. The days of a series are the sums over its markets.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import pairwise

import pandas as pd

from tributary_pipelines.analytics.calibration import impact_statistics
from tributary_pipelines.analytics.calibration.impact_statistics import ImpactStatistics, compute_impact_statistics
from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN, add_statistics
from tributary_pipelines.analytics.calibration.tokens import choose_books, merge_tokens, mirror_books
from tributary_pipelines.core.frames import OrderBooks, Trades
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import IMPACT_STATISTICS
from tributary_pipelines.core.settings import AnalyticsSettings
from tributary_pipelines.core.units import day_start
from tributary_pipelines.flows.subjects import Subject
from tributary_pipelines.storage.base import DayFingerprint, MarketStore, ResultDay

_ONE_DAY = timedelta(days=1)
_MARK_LENGTH = 8
#: What a day's fingerprint is joined with: the mark of the settings, those of its members, and the hash of its data.
_BETWEEN = "-"


def fingerprint_of(*inputs: object) -> str:
    """Return the sha256 of inputs through their JSON form."""
    return sha256(json.dumps(inputs, sort_keys=True, default=str).encode()).hexdigest()


def ensure_statistics(
    store: MarketStore,
    settings: AnalyticsSettings,
    subject: Subject,
    start: date,
    end: date,
    *,
    progress: Callable[[date], None] | None = None,
) -> list[ImpactStatistics]:
    """Return the statistics of every day of [start, end) that holds data, computing and storing only what changed.

    A stored day whose raw data are gone loses its row, whatever code made it.

    Parameters
    ----------
    progress
        Called with each day that had to be read.
    """
    rows = _stored_rows(store, subject.market, start, end)
    stored = {day.data_fingerprint: day for day in _of_present_code(rows)}
    with_data = _held_days(store, subject, start, end)
    days, fresh = [], []
    for day, held in with_data:
        known = stored.get(_inputs_fingerprint(settings, day, held))
        if known is not None:
            days.append(known)
            continue
        if progress is not None:
            progress(day)
        fresh.append(_compute(store, settings, subject, day, held))
        days.append(fresh[-1])
    emptied = {at.date() for at in rows["timestamp"]} - {day for day, _ in with_data}
    store_statistics(
        store, fresh, [ResultDay(subject.market.market_id, subject.market.token_id, day) for day in sorted(emptied)]
    )
    return days


def complete_statistics(
    store: MarketStore, settings: AnalyticsSettings, subject: Subject, start: date, end: date
) -> list[ImpactStatistics]:
    """Return the statistics of every day of [start, end) that holds data; only days without a stored row are looked at.

    A row that the present code made with the present settings and properties of its markets is taken as it is: reading
    a window's raw data again to find that nothing changed would cost more than everything else in a recalibration.
    Changed raw data, a day that lost its data, and a market of a series that was imported late for a day that has a
    row, are found when that day is materialised again (``ensure_statistics``).
    """
    stored = stored_statistics(store, subject.market, start, end)
    present = _Marks.of(settings, subject, start)
    known = [day for day in stored if present.cover(day.data_fingerprint)]
    fresh = [
        _compute(store, settings, subject, day, held)
        for gap in list(_gaps([day.day for day in known], start, end))
        for day, held in _held_days(store, subject, *gap)
    ]
    store_statistics(store, fresh)
    return sorted([*known, *fresh], key=lambda day: day.timestamp)


def _gaps(days: Sequence[date], start: date, end: date) -> Iterator[tuple[date, date]]:
    """Yield the stretches [first, last) of [start, end) without any of these days."""
    for before, after in pairwise([start - _ONE_DAY, *sorted(days), end]):
        if before + _ONE_DAY < after:
            yield before + _ONE_DAY, after


def stored_statistics(store: MarketStore, market: Market, start: date, end: date) -> list[ImpactStatistics]:
    """Return the stored statistics of [start, end) that the present code made, oldest first."""
    return _of_present_code(_stored_rows(store, market, start, end))


def _stored_rows(store: MarketStore, market: Market, start: date, end: date) -> pd.DataFrame:
    return store.results.read(IMPACT_STATISTICS, day_start(start), day_start(end), market.market_id, market.token_id)


def _of_present_code(rows: pd.DataFrame) -> list[ImpactStatistics]:
    # Rows of other code may have arrays of other shapes; they count as missing and are computed anew.
    own = rows[rows["code_version"] == impact_statistics.CODE_VERSION]
    return [ImpactStatistics.from_row(row) for row in own.to_dict("records")]


def store_statistics(store: MarketStore, days: Sequence[ImpactStatistics], emptied: Sequence[ResultDay] = ()) -> None:
    """Replace the stored statistics of these days.

    Parameters
    ----------
    emptied
        Days that have no statistics any more; their rows are removed.
    """
    replaced = [*(ResultDay(day.market_id, day.token_id, day.day) for day in days), *emptied]
    if not replaced:
        return
    rows = pd.DataFrame([day.to_row() for day in days], columns=list(IMPACT_STATISTICS.column_names))
    store.results.replace_days(IMPACT_STATISTICS, replaced, rows)


#: What the raw tables hold of each member on one day, by token: its own and its complement.
_Held = dict[Market, dict[str, DayFingerprint]]


def _held_days(store: MarketStore, subject: Subject, start: date, end: date) -> list[tuple[date, _Held]]:
    """Return the days that hold data of any member, ascending, with the fingerprints of the members that do."""
    by_day: dict[date, _Held] = {}
    is_series = subject.market.token_id == SERIES_TOKEN
    for member in subject.members:
        # What is declared may be wrong: one market alone is asked for its data all the same.
        if is_series and _is_over(member, start):
            continue
        for token_id in _tokens(member):
            for held in store.reader.fingerprints(member.market_id, token_id, day_start(start), day_start(end)):
                # Day by day, so that a range of days finds what each day alone would.
                if not (is_series and _is_over(member, held.day)):
                    by_day.setdefault(held.day, {}).setdefault(member, {})[token_id] = held
    return sorted(by_day.items(), key=lambda item: item[0])


def _is_over(member: Market, start: date) -> bool:
    """Whether a member of a series resolved more than a day before, so that it is not asked for data any more.

    When it began is not known: ``valid_from`` tells since when its properties hold, and they change in its life.
    """
    return member.resolves_at is not None and member.resolves_at + _ONE_DAY < day_start(start)


def _tokens(market: Market) -> list[str]:
    """Return the token and, where prices can be put on its scale, the complement."""
    other = market.complement_token_id
    if other is None or other == market.token_id or market.price_min is None:
        return [market.token_id]
    return [market.token_id, other]


def leaves_complement_apart(market: Market) -> bool:
    """Whether a market names a complement whose trades are not counted, as its price bounds are not declared."""
    return market.complement_token_id not in (None, market.token_id) and market.price_min is None


def _compute(
    store: MarketStore, settings: AnalyticsSettings, subject: Subject, day: date, held: _Held
) -> ImpactStatistics:
    fingerprint = _inputs_fingerprint(settings, day, held)
    if subject.market.token_id != SERIES_TOKEN:
        return _compute_market(store, settings, subject.market, day, fingerprint)
    parts = [_compute_market(store, settings, member, day, "") for member in held]
    return add_statistics(parts, series_id=subject.market.market_id, data_fingerprint=fingerprint)


def _compute_market(
    store: MarketStore, settings: AnalyticsSettings, market: Market, day: date, fingerprint: str
) -> ImpactStatistics:
    trades, books, counts = _read_day(store, market, day_start(day))
    return compute_impact_statistics(
        trades,
        books,
        market_id=market.market_id,
        token_id=market.token_id,
        day=day,
        tick_size=market.tick_size,
        lot_size=market.lot_size,
        stamp_guard_s=settings.calibration.stamp_guard,
        staleness_limit_s=settings.simulation.staleness_limit,
        price_min=market.price_min,
        price_max=market.price_max,
        n_other_token=counts[0],
        n_mirrored=counts[1],
        data_fingerprint=fingerprint,
    )


def _read_day(store: MarketStore, market: Market, start: datetime) -> tuple[Trades, OrderBooks, tuple[int, int]]:
    """Return a day of a market on its token's scale, and how many trades came from the complement and were copies."""
    days = [(market.market_id, token_id, start, start + _ONE_DAY) for token_id in _tokens(market)]
    trades = [store.reader.trades(*day) for day in days]
    books = [store.reader.order_books(*day) for day in days]
    if len(trades) == 1 or market.price_min is None or market.price_max is None:
        return trades[0], books[0], (0, 0)
    bounds = (market.price_min, market.price_max)
    merged = merge_tokens(trades[0], trades[1], *bounds)
    return merged.trades, choose_books(books[0], mirror_books(books[1], *bounds)), (merged.n_other, merged.n_mirrored)


def _inputs_fingerprint(settings: AnalyticsSettings, day: date, held: _Held) -> str:
    """Return the fingerprint of a day's inputs: marks of settings and members, and the hash of the data."""
    members = sorted(held.items(), key=lambda item: item[0].market_id)
    data = [{token_id: one.digest for token_id, one in fingerprints.items()} for _, fingerprints in members]
    marks = [_settings_mark(settings), *(_market_mark(member) for member, _ in members)]
    return _BETWEEN.join([*marks, fingerprint_of(day, data)])


def _settings_mark(settings: AnalyticsSettings) -> str:
    """Return what distinguishes rows of other settings without reading their raw data."""
    return fingerprint_of(settings.calibration.stamp_guard, settings.simulation.staleness_limit)[:_MARK_LENGTH]


def _market_mark(market: Market) -> str:
    """Return what distinguishes rows of a market with other properties, or other tokens, without reading raw data."""
    properties = (market.tick_size, market.lot_size, market.price_min, market.price_max)
    return fingerprint_of(market.market_id, _tokens(market), properties)[:_MARK_LENGTH]


@dataclass(frozen=True, slots=True)
class _Marks:
    """The marks that rows may carry now.

    A row of a series names those of its members that held data that day, so that a new market, or a change of one that
    was not there, leaves the row as it is.
    """

    settings: str
    markets: frozenset[str]

    @classmethod
    def of(cls, settings: AnalyticsSettings, subject: Subject, start: date) -> "_Marks":
        """Return the marks of the days from ``start`` on."""
        is_series = subject.market.token_id == SERIES_TOKEN
        members = (one for one in subject.members if not (is_series and _is_over(one, start)))
        return cls(_settings_mark(settings), frozenset(map(_market_mark, members)))

    def cover(self, fingerprint: str) -> bool:
        """Whether a row was made with the present settings and properties."""
        settings, *markets = fingerprint.split(_BETWEEN)[:-1] or [""]
        return settings == self.settings and self.markets.issuperset(markets)
