"""What is calibrated together: one token, or all markets of a series of short-lived markets as one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN
from tributary_pipelines.core.errors import DataError
from tributary_pipelines.core.models import Market
from tributary_pipelines.flows.market_data import default_as_of, find_market, last_complete_day
from tributary_pipelines.storage.base import MarketDataReader

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is calibrated together.

    Parameters
    ----------
    market : Market
        The token itself, or the series as a market: its id, token ``*``, and what its newest market declares.
    members : tuple of Market
        The markets whose data count; one that is the market itself, unless a series.
    """

    market: Market
    members: tuple[Market, ...]


def subject_of(market: Market) -> Subject:
    """Return one token as a subject."""
    return Subject(market, (market,))


def series_subject(series_id: str, known: Sequence[Market]) -> Subject:
    """Return a series as a subject: the first token of each of its markets.

    Parameters
    ----------
    known
        Every token of the store, first tokens first.

    Raises
    ------
    DataError
        No market of the store belongs to the series.
    """
    members: dict[str, Market] = {}
    for market in known:
        if market.series_id == series_id:
            members.setdefault(market.market_id, market)
    if not members:
        raise DataError(f"no market of series {series_id!r} is in the store; import markets with this series_id")
    newest = list(members.values())[-1]
    common = {"market_id": series_id, "token_id": SERIES_TOKEN, "complement_token_id": None, "resolves_at": None}
    return Subject(newest.model_copy(update=common), tuple(members.values()))


def find_subject(reader: MarketDataReader, name: str, token: str | None = None) -> Subject:
    """Return what a market_id, slug or series id means for a calibration; a series of several markets is one subject.

    Raises
    ------
    DataError
        Nothing is stored under the name, or the market has no such token.
    """
    known = reader.markets()
    is_market = any(name in (market.market_id, market.slug) for market in known)
    if not is_market and token is None and any(market.series_id == name for market in known):
        return series_subject(name, known)
    return subject_of(find_market(reader, name, token))


def default_window_end(reader: MarketDataReader, subject: Subject, *, now: datetime) -> date:
    """Return the day after the last complete UTC day of data of any member.

    Raises
    ------
    DataError
        No member has a complete day of data.
    """
    if len(subject.members) == 1:
        return default_as_of(reader, subject.members[0], now=now)
    days = [day for member in subject.members if (day := last_complete_day(reader, member, now=now)) is not None]
    if not days:
        raise DataError(f"series {subject.market.market_id!r} has no complete UTC day of data yet; import more")
    return max(days) + _ONE_DAY
