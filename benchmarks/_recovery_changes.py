"""What befalls a recording on its way from the market to the estimators: small seeded functions on a whole tape.

Each takes a recording and returns another; nothing is changed in place. They know the recording alone: the law of the
market and its options are in analytics/simulation/synthetic_market.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import hypot, sqrt

import numpy as np

from tributary_pipelines.core.frames import Float64Array1D, OrderBooks, Trades
from tributary_pipelines.core.units import US_PER_DAY, US_PER_S

US_PER_HOUR = 3_600 * US_PER_S
#: Share of the trades that are reported on the other token of the market.
OTHER_TOKEN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Recording:
    """What was collected of one token, what was reported on the other token of its market, and the truth."""

    trades: Trades
    books: OrderBooks
    truth: dict[str, float]
    other_trades: Trades | None = None

    @property
    def n_days(self) -> int:
        """Days from the first snapshot's to the last one's."""
        return int((self.books.times[-1] - self.books.times[0]) // US_PER_DAY) + 1


Change = Callable[[Recording, np.random.Generator], Recording]


def leave(recording: Recording, rng: np.random.Generator) -> Recording:  # noqa: ARG001
    """Everything arrives as it was."""
    return recording


def stamp_whole_seconds(recording: Recording, rng: np.random.Generator) -> Recording:  # noqa: ARG001
    """Trades carry the second they were stamped in, as block times and polled tapes do."""
    seconds = recording.trades.times // US_PER_S * US_PER_S
    return replace(recording, trades=replace(recording.trades, times=seconds))


def add_jump(recording: Recording, rng: np.random.Generator) -> Recording:
    """From a random moment on all prices stand 3 sigma higher or lower.

    sigma is the total volatility of the window, so that the jump belongs to its truth.
    """
    books, trades, sigma = recording.books, recording.trades, recording.truth["sigma"]
    at = _random_moment(recording, rng)
    size = float(rng.choice([-3.0, 3.0])) * sigma
    shift = np.where(books.times >= at, size, 0.0)[:, None]
    moved = replace(books, bid_prices=books.bid_prices + shift, ask_prices=books.ask_prices + shift)
    prices = trades.prices + np.where(trades.times >= at, size, 0.0)
    truth = recording.truth | {"sigma": hypot(sigma, size / sqrt(recording.n_days))}
    return replace(recording, trades=replace(trades, prices=prices), books=moved, truth=truth)


def lose_six_hours(recording: Recording, rng: np.random.Generator) -> Recording:
    """The collector was down for 6 h: neither trades nor books."""
    at = min(_random_moment(recording, rng), int(recording.books.times[-1]) - 6 * US_PER_HOUR)
    books, trades = recording.books, recording.trades
    kept_books = (books.times < at) | (books.times >= at + 6 * US_PER_HOUR)
    kept_trades = (trades.times < at) | (trades.times >= at + 6 * US_PER_HOUR)
    return replace(recording, trades=_trades_of(trades, kept_trades), books=books.rows(np.flatnonzero(kept_books)))


def lose_half_of_the_sides(recording: Recording, rng: np.random.Generator) -> Recording:
    """Of every other trade, at random, the taker's side is not known."""
    trades = recording.trades
    is_lost = rng.uniform(size=len(trades)) < 0.5
    return replace(recording, trades=replace(trades, signs=np.where(is_lost, 0, trades.signs).astype(np.int8)))


def repeat_every_trade(recording: Recording, rng: np.random.Generator) -> Recording:  # noqa: ARG001
    """Every trade is on the tape twice: what estimators see when duplicates were not removed."""
    twice = np.repeat(np.arange(len(recording.trades)), 2)
    return replace(recording, trades=_trades_of(recording.trades, twice))


def empty_a_side_two_hours_a_day(recording: Recording, rng: np.random.Generator) -> Recording:
    """In two random hours of each day the book has bids alone or asks alone."""
    books = recording.books
    hours = (books.times - books.times[0]) // US_PER_HOUR
    side_of_hour = np.zeros(24 * recording.n_days, np.int8)
    for day in range(recording.n_days):
        side_of_hour[24 * day + rng.choice(24, 2, replace=False)] = rng.choice(np.array([-1, 1], np.int8), 2)
    side = side_of_hour[hours]
    emptied = {
        name: np.where((side == sign)[:, None], np.nan, getattr(books, name))
        for name, sign in (("bid_prices", -1), ("bid_sizes", -1), ("ask_prices", 1), ("ask_sizes", 1))
    }
    return replace(recording, books=replace(books, **emptied))


def report_half_on_the_other_token(recording: Recording, rng: np.random.Generator) -> Recording:
    """Half of the trades were made on the other token of a market that pays 1: at 1 - price, the side turned."""
    trades = recording.trades
    is_other = rng.uniform(size=len(trades)) < OTHER_TOKEN_SHARE
    other = _trades_of(trades, is_other)
    other = replace(other, prices=1.0 - other.prices, signs=-other.signs)
    return replace(recording, trades=_trades_of(trades, ~is_other), other_trades=other)


def lose_the_other_token(recording: Recording, rng: np.random.Generator) -> Recording:
    """As when half is reported on the other token, of which nothing was collected."""
    return replace(report_half_on_the_other_token(recording, rng), other_trades=None)


def _random_moment(recording: Recording, rng: np.random.Generator) -> int:
    return int(rng.integers(recording.books.times[0], recording.books.times[-1]))


def _trades_of(trades: Trades, which: Float64Array1D) -> Trades:
    return Trades(trades.times[which], trades.prices[which], trades.sizes[which], trades.signs[which])
