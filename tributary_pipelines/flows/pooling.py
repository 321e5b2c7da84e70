"""The pool of each venue: which stored calibrations may lend to a thin market, read once for many.

Members are the newest calibrations of the venue's other markets that were usable by the end of the thin market's
window and are at most a week old: nothing looks ahead, and a market that is no longer calibrated drops out. A market
lends once, whichever of its tokens was calibrated, and a series and its own markets do not lend to each other.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.pooling import Pool, borrow_gamma, make_pool, may_borrow
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS
from tributary_pipelines.storage.base import MarketStore

OLDEST_DAYS = 7
_ONE_DAY = timedelta(days=1)


class VenuePools:
    """Pools by venue and moment; what is stored is read when first asked for, once for each stretch of time."""

    def __init__(self, store: MarketStore, known: Sequence[Market]) -> None:
        self._store = store
        self._venues = {market.market_id: market.venue for market in known}
        self._series = {market.market_id: market.series_id for market in known if market.series_id is not None}
        for market_id, series_id in self._series.items():
            self._venues.setdefault(series_id, self._venues[market_id])
        self._read: dict[tuple[datetime, datetime], list[AlmgrenChrissParameters]] = {}

    def lend(self, market: Market, found: Sequence[AlmgrenChrissParameters]) -> list[AlmgrenChrissParameters]:
        """Return one market's calibrations, with gamma borrowed where that alone is missing and a pool is there.

        Parameters
        ----------
        found
            By time; those that need nothing come back as they are.
        """
        borrowers = [one for one in found if may_borrow(one)]
        if market.venue is None or not borrowers:
            return list(found)
        span = (borrowers[0].window_end - timedelta(days=OLDEST_DAYS), borrowers[-1].window_end)
        members = self._members(span)
        return [self._lend(market.venue, one, members) if may_borrow(one) else one for one in found]

    def _lend(
        self, venue: str, found: AlmgrenChrissParameters, members: Sequence[AlmgrenChrissParameters]
    ) -> AlmgrenChrissParameters:
        pool = self._pool(venue, found, members)
        return found if pool is None else borrow_gamma(found, pool)

    def _pool(
        self, venue: str, found: AlmgrenChrissParameters, members: Sequence[AlmgrenChrissParameters]
    ) -> Pool | None:
        newest: dict[str, AlmgrenChrissParameters] = {}
        ends = (found.usable_from - timedelta(days=OLDEST_DAYS), found.usable_from)
        first, last = (bisect_right(members, end, key=lambda one: one.usable_from) for end in ends)
        for one in members[first:last]:
            if self._venues.get(one.market_id) == venue and not self._shares_data(one.market_id, found.market_id):
                newest[one.market_id] = one
        return make_pool(venue, list(newest.values()))

    def _shares_data(self, lender: str, borrower: str) -> bool:
        """Whether two ids are one market, or a series and one of its markets."""
        return lender in (borrower, self._series.get(borrower)) or self._series.get(lender) == borrower

    def _members(self, span: tuple[datetime, datetime]) -> list[AlmgrenChrissParameters]:
        """Return the calibrations with a gamma of their own that became usable within a span, by time."""
        if span not in self._read:
            # A window's row stands on its last day, a day before it is usable.
            rows = self._store.results.read(ALMGREN_CHRISS_PARAMETERS, span[0] - _ONE_DAY, span[1])
            own = rows[rows["gamma_source"] == "own"].to_dict("records")
            made = [AlmgrenChrissParameters.from_row(row) for row in own]
            self._read = {span: sorted(made, key=lambda one: (one.usable_from, one.token_id))}
        return self._read[span]
