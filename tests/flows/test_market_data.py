"""Which market is meant, how far its data reaches, and synthetic markets that are written once."""

from datetime import UTC, date, datetime

import pytest

from tests.flows.conftest import REQUEST, Desk
from tributary_pipelines.core.errors import ConfigurationError, DataError
from tributary_pipelines.core.frames import MARKETS, TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.flows.market_data import default_as_of, find_market, last_complete_day, synthesize
from tributary_pipelines.storage.base import Extent

LATER = datetime(2026, 6, 1, tzinfo=UTC)


class Markets:
    """A reader that knows markets and nothing else."""

    def __init__(self, *known: Market) -> None:
        self._known = list(known)

    def markets(self) -> list[Market]:
        return self._known


def test_a_market_is_found_by_id_slug_or_series() -> None:
    reader = Markets(
        Market(market_id="m1", token_id="yes", slug="fed-cut", series_id="fed"),
        Market(market_id="m1", token_id="no", slug="fed-cut", series_id="fed"),
    )
    assert [find_market(reader, name).token_id for name in ("m1", "fed-cut", "fed")] == ["yes"] * 3
    assert find_market(reader, "m1", "no").token_id == "no"


def test_an_unknown_market_names_the_near_ones() -> None:
    with pytest.raises(DataError, match="'fed-cutt' is not in the store; did you mean fed-cut"):
        find_market(Markets(Market(market_id="m1", token_id="yes", slug="fed-cut")), "fed-cutt")


def test_an_unknown_token_names_the_known_ones() -> None:
    with pytest.raises(DataError, match="no token 'maybe'; it has yes"):
        find_market(Markets(Market(market_id="m1", token_id="yes")), "m1", "maybe")


def test_a_series_of_several_markets_is_not_guessed() -> None:
    reader = Markets(*(Market(market_id=f"m{i}", token_id="up", series_id="5m") for i in range(2)))
    with pytest.raises(DataError, match="series of 2 markets; name one of them: m0, m1"):
        find_market(reader, "5m")


def test_the_last_complete_day_is_over_and_holds_data(desk: Desk) -> None:
    during = datetime(2026, 3, 3, 12, tzinfo=UTC)
    assert last_complete_day(desk.store.reader, desk.market, now=LATER) == date(2026, 3, 4)
    assert last_complete_day(desk.store.reader, desk.market, now=during) == date(2026, 3, 2)
    assert last_complete_day(desk.store.reader, desk.market, now=datetime(2026, 3, 1, 9, tzinfo=UTC)) is None
    assert default_as_of(desk.store.reader, desk.market, now=LATER) == date(2026, 3, 5)


class Extents:
    """A reader that knows how far one market's trades reach."""

    def __init__(self, first: datetime, last: datetime) -> None:
        self._extent = Extent(first, last, None, None)

    def extent(self, market_id: str, token_id: str) -> Extent:
        return self._extent


@pytest.mark.parametrize(
    ("first", "last", "day"),
    [
        ((1, 0, 0), (3, 23, 59), 3),
        ((1, 0, 0), (4, 12, 0), 3),
        ((1, 23, 54), (2, 0, 5), 1),
        ((4, 9, 0), (4, 12, 0), 4),
    ],
    ids=["reaches the end", "breaks off at noon", "over midnight", "part of one day only"],
)
def test_a_day_counts_once_its_data_reach_its_end(
    first: tuple[int, int, int], last: tuple[int, int, int], day: int
) -> None:
    reader = Extents(*(datetime(2026, 3, d, h, m, tzinfo=UTC) for d, h, m in (first, last)))
    market = Market(market_id="m", token_id="t")
    assert last_complete_day(reader, market, now=LATER) == date(2026, 3, day)


def test_a_market_without_data_has_no_default_window(own_desk: Desk) -> None:
    with pytest.raises(DataError, match="'empty', token 't' has no complete UTC day of data"):
        default_as_of(own_desk.store.reader, Market(market_id="empty", token_id="t"), now=LATER)


def test_the_same_request_again_changes_nothing(own_desk: Desk) -> None:
    window = (REQUEST.market_id, REQUEST.market_id, datetime(2026, 3, 1, tzinfo=UTC), LATER)
    before = own_desk.store.reader.fingerprints(*window)
    synthesize(own_desk.store, REQUEST)
    assert own_desk.store.reader.fingerprints(*window) == before
    assert len(before) == 4


def test_another_seed_does_not_mix_with_what_is_there(own_desk: Desk) -> None:
    with pytest.raises(ConfigurationError, match="'thin' already holds other trades"):
        synthesize(own_desk.store, REQUEST.model_copy(update={"seed": 8}))


def test_what_is_stored_carries_its_units_of_trade(desk: Desk) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    rows = next(iter(desk.store.reader.rows(TRADES, "thin", start, LATER))).to_pandas()
    assert (rows["value"] == rows["price"] * rows["size"]).all()
    assert set(rows["side"]) == {"buy", "sell"}
    assert desk.market.tick_size == 0.001
    assert MARKETS.key == ("timestamp", "market_id", "token_id")
