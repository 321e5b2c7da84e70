"""The pool of each venue: which stored calibrations may lend to a thin market, read once for all thin markets of a run.

Members are the newest calibrations of the venue's other markets that were usable by the end of the thin market's
window and are at most a week old: nothing looks ahead, and a market that is no longer calibrated drops out. A market
lends once, whichever of its tokens was calibrated; a series and its own markets do not lend to each other, and to
others a series lends in place of its markets.
"""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

from tributary_pipelines.analytics.optimization import parameters
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.pooling import Pool, borrow_gamma, make_pool, may_borrow
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS
from tributary_pipelines.core.units import iso_z
from tributary_pipelines.storage.base import MarketStore

OLDEST_DAYS = 7
_ONE_DAY = timedelta(days=1)
#: Without these a row cannot be read, or has nothing to lend; rows of older code have nulls.
_NEEDED = [
    *(
        "gamma",
        "sigma_window",
        "flow_sq_per_day",
        "code_version",
        "window_start",
        "window_end",
        "usable_from",
        "n_days",
        "n_trades",
        "n_snapshots",
    ),
    *("reasons", "flags", "pool_markets", "eta_interval_s", "coverage"),
]


class VenuePools:
    """Pools by venue and moment, for all that borrows in a run; what is stored is read once, when first needed.

    Parameters
    ----------
    store
    known
        Every token of the store.
    found
        The calibrations of the run. Those that borrow say which stretch of time is read; what is stored of their own
        windows is about to be replaced, so it does not lend.
    """

    def __init__(self, store: MarketStore, known: Sequence[Market], found: Sequence[AlmgrenChrissParameters]) -> None:
        self._store = store
        self._borrowers = {_window_of(one) for one in found if may_borrow(one)}
        self._venues = {market.market_id: market.venue for market in known}
        self._series = {market.market_id: market.series_id for market in known if market.series_id is not None}
        for market_id, series_id in self._series.items():
            self._venues.setdefault(series_id, self._venues[market_id])
        self._members: list[AlmgrenChrissParameters] | None = None

    def lend(self, market: Market, found: Sequence[AlmgrenChrissParameters]) -> list[AlmgrenChrissParameters]:
        """Return one market's calibrations, with gamma borrowed where that alone is missing and a pool is there.

        Parameters
        ----------
        found
            Of those that the pools were made for; those that need nothing come back as they are.

        Raises
        ------
        ValidationError
            One that borrows is not of those that the pools were made for.
        """
        return [self._lend(market.venue, one) if may_borrow(one) else one for one in found]

    def _lend(self, venue: str | None, found: AlmgrenChrissParameters) -> AlmgrenChrissParameters:
        if _window_of(found) not in self._borrowers:
            raise ValidationError(
                f"market {found.market_id}, window to {iso_z(found.window_end)}: the pools were made without it; "
                f"give all calibrations of the run"
            )
        pool = None if venue is None else self._pool(venue, found)
        return found if pool is None else borrow_gamma(found, pool)

    def _pool(self, venue: str, found: AlmgrenChrissParameters) -> Pool | None:
        members = self._read_members() if self._members is None else self._members
        newest: dict[str, AlmgrenChrissParameters] = {}
        ends = (found.usable_from - timedelta(days=OLDEST_DAYS), found.usable_from)
        first, last = (bisect_right(members, end, key=lambda one: one.usable_from) for end in ends)
        for one in members[first:last]:
            if self._venues.get(one.market_id) == venue and not self._shares_data(one.market_id, found.market_id):
                newest[one.market_id] = one
        # What moves a market of a lending series is in the series already.
        lenders = [one for market_id, one in newest.items() if self._series.get(market_id) not in newest]
        return make_pool(venue, lenders)

    def _shares_data(self, lender: str, borrower: str) -> bool:
        """Whether two ids are one market, or a series and one of its markets."""
        return lender in (borrower, self._series.get(borrower)) or self._series.get(lender) == borrower

    def _read_members(self) -> list[AlmgrenChrissParameters]:
        """Return the calibrations with a gamma of their own that may lend to any of the borrowers, by time."""
        ends = [end for _, _, end in self._borrowers]
        # A window's row stands on its last day, a day before it is usable.
        span = (min(ends) - timedelta(days=OLDEST_DAYS) - _ONE_DAY, max(ends))
        rows = self._store.results.read(ALMGREN_CHRISS_PARAMETERS, *span).dropna(subset=_NEEDED)
        own = rows[(rows["gamma_source"] == "own") & (rows["code_version"] == parameters.CODE_VERSION)]
        made = [AlmgrenChrissParameters.from_row(row) for row in own.to_dict("records")]
        lenders = [one for one in made if _window_of(one) not in self._borrowers]
        self._members = sorted(lenders, key=lambda one: (one.usable_from, one.token_id))
        return self._members


def _window_of(found: AlmgrenChrissParameters) -> tuple[str, str, datetime]:
    return found.market_id, found.token_id, found.window_end
