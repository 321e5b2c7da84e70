"""The two tokens of a two-outcome market as one market: the other token's trades and books on the own token's scale.

A share of YES and one of NO together pay price_min + price_max, so p_no = price_min + price_max - p_yes and buying NO
is selling YES. Impact is a property of the market: flow of both tokens is summed, and it must be on one scale first.
Which data of which token is read belongs to the caller.
"""

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array2D, Int64Array1D, OrderBooks, Trades
from tributary_pipelines.core.units import US_PER_DAY

#: Prices of one trade on both tokens differ by rounding alone, P.
_EQUAL_P = 1e-9

#: 1 - 0.43 is 0.5700000000000001: mirrored prices go back to the decimals that a venue can quote.
_DECIMALS = 12


@dataclass(frozen=True, slots=True, eq=False)
class MergedTrades:
    """The trades of both tokens on the own token's scale.

    Parameters
    ----------
    trades : Trades
        Ascending; at equal times the own token's come first.
    n_other : int
        Trades of the other token that were given.
    n_mirrored : int
        Of them, second reports of a trade of the own token, left out: ``trades`` holds own + n_other - n_mirrored.
    """

    trades: Trades
    n_other: int
    n_mirrored: int


def merge_tokens(own: Trades, other: Trades, price_min: float, price_max: float) -> MergedTrades:
    """Put the other token's trades on the own token's scale, p -> price_min + price_max - p and s -> -s, and merge.

    A trade that the venue reports on both tokens is one trade and counts once: same time, same size, same price
    (within 1e-9 P) and same sign after conversion. Several such trades at once pair one to one.

    Parameters
    ----------
    own, other : Trades
        Ascending, of the two tokens of one market. Sign 0 stays 0.
    price_min, price_max : float
        The market's declared price bounds, P. A price outside of them is mirrored as it is, to outside.

    Returns
    -------
    MergedTrades
        Trades of both tokens in ascending time. The other token's price_max becomes price_min, which may be 0.

    Raises
    ------
    ValidationError
        The bounds are not finite, or the lower is not below the upper.

    Examples
    --------
    >>> yes = Trades(np.array([1]), np.array([0.6]), np.array([10.0]), np.array([1], np.int8))
    >>> no = Trades(np.array([1, 2]), np.array([0.4, 0.43]), np.array([10.0, 5.0]), np.array([-1, 1], np.int8))
    >>> merged = merge_tokens(yes, no, 0.0, 1.0)
    >>> merged.trades.prices.tolist(), merged.trades.signs.tolist(), merged.n_mirrored
    ([0.6, 0.57], [1, -1], 1)
    """
    _check_bounds(price_min, price_max)
    times = np.concatenate([own.times, other.times])
    prices = np.concatenate([own.prices, _mirror(other.prices, price_min, price_max)])
    sizes = np.concatenate([own.sizes, other.sizes])
    signs = np.concatenate([own.signs, -other.signs])
    is_other = np.arange(len(times)) >= len(own)
    kept = ~_second_reports(Trades(times, prices, sizes, signs), is_other)
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(times[rows], kind="stable")]
    return MergedTrades(
        trades=Trades(times[rows], prices[rows], sizes[rows], signs[rows]),
        n_other=len(other),
        n_mirrored=len(times) - len(rows),
    )


def mirror_books(books: OrderBooks, price_min: float, price_max: float) -> OrderBooks:
    """Return a token's snapshots as the other token's: bids become asks at price_min + price_max - p.

    The highest bid becomes the lowest ask, so ladders stay best first; sizes stay with their level.

    Raises
    ------
    ValidationError
        The bounds are not finite, or the lower is not below the upper.

    Examples
    --------
    >>> no = OrderBooks(np.array([1]), *(np.array([[x]]) for x in (0.4, 100.0, 0.43, 50.0)))
    >>> yes = mirror_books(no, 0.0, 1.0)
    >>> yes.best_bids.tolist(), yes.bid_sizes.tolist(), yes.best_asks.tolist(), yes.ask_sizes.tolist()
    ([0.57], [[50.0]], [0.6], [[100.0]])
    """
    _check_bounds(price_min, price_max)
    return OrderBooks(
        times=books.times,
        bid_prices=_mirror(books.ask_prices, price_min, price_max),
        bid_sizes=books.ask_sizes,
        ask_prices=_mirror(books.bid_prices, price_min, price_max),
        ask_sizes=books.bid_sizes,
    )


def choose_books(own: OrderBooks, other_mirrored: OrderBooks) -> OrderBooks:
    """Return one recording of the market's book: the own token's, and the mirrored one on UTC days without it.

    Never both on one day. They are two recordings of one book, a moment apart: taken together they hold no more depth,
    the mid would jump between them at every snapshot, which reads as volatility, and every book would count twice.

    Parameters
    ----------
    own, other_mirrored : OrderBooks
        Ascending, on the own token's scale (see ``mirror_books``).

    Returns
    -------
    OrderBooks
        Ascending, as wide as the wider of the two where both are used.
    """
    has_own = np.isin(other_mirrored.times // US_PER_DAY, np.unique(own.times // US_PER_DAY))
    missing = other_mirrored.rows(np.flatnonzero(~has_own))
    if not len(missing) or not len(own):
        return missing if len(missing) else own
    times = np.concatenate([own.times, missing.times])
    sides = zip(_ladders(own), _ladders(missing), strict=True)
    joined = OrderBooks(times, *(_stack(first, second) for first, second in sides))
    return joined.rows(np.argsort(times, kind="stable"))


def _mirror(prices: Float64Array2D, price_min: float, price_max: float) -> Float64Array2D:
    mirrored: Float64Array2D = np.round(price_min + price_max - prices, _DECIMALS)
    return mirrored


def _second_reports(trades: Trades, is_other: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (n,) which of the other token's trades repeat one of the own, on the own token's scale."""
    order = np.lexsort((trades.prices, trades.signs, trades.sizes, trades.times))
    is_new = np.diff(trades.prices[order], prepend=-np.inf) > _EQUAL_P
    for key in (trades.times, trades.sizes, trades.signs):
        is_new[1:] |= key[order][1:] != key[order][:-1]
    group = np.cumsum(is_new) - 1
    from_other = is_other[order]
    n_own = np.bincount(group, ~from_other)[group] if len(group) else np.zeros(0)
    # The first n_own of the other token's equal trades are repeats; further ones have no partner left.
    seen = np.cumsum(from_other)
    before_group: Int64Array1D = (seen - from_other)[is_new]
    rank: Int64Array1D = seen - before_group[group]
    repeats = np.zeros(len(order), np.bool_)
    repeats[order] = from_other & (rank <= n_own)
    return repeats


def _ladders(books: OrderBooks) -> tuple[Float64Array2D, ...]:
    return books.bid_prices, books.bid_sizes, books.ask_prices, books.ask_sizes


def _stack(first: Float64Array2D, second: Float64Array2D) -> Float64Array2D:
    """Return the rows of both ladders, the narrower padded with NaN."""
    levels = max(first.shape[1], second.shape[1])
    stacked = np.full((len(first) + len(second), levels), np.nan)
    stacked[: len(first), : first.shape[1]] = first
    stacked[len(first) :, : second.shape[1]] = second
    return stacked


def _check_bounds(price_min: float, price_max: float) -> None:
    if not (isfinite(price_min) and isfinite(price_max) and price_min < price_max):
        raise ValidationError(
            f"tokens cannot be mirrored within price bounds {price_min}..{price_max}; declare finite price_min and "
            "price_max of the market, the lower first"
        )
