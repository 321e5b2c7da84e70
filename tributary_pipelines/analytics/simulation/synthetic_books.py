"""How the synthetic market shows its book and fills a trade: prices on the tick grid over a uniform density.

Around a price M one side of the book offers D shares per unit of price beyond M + epsilon (asks) or M - epsilon
(bids). A level at price P holds D times the part of (P - tick, P] that lies beyond that edge, so the first level is a
fraction of a tick deep and every other a whole one; the cost of n shares at once is epsilon + n / (2 D) a share.
"""

import numpy as np

from tributary_pipelines.core.frames import (
    Float64Array1D,
    Float64Array2D,
    Int8Array1D,
    Int64Array1D,
    OrderBooks,
)

#: Decimals kept of a price, so that 3 * 0.1 is written 0.3.
PRICE_DECIMALS = 10


def walk_density(
    price: Float64Array1D,
    signs: Int8Array1D,
    sizes: Float64Array1D,
    density: Float64Array1D,
    *,
    epsilon: float,
    tick: float,
) -> Float64Array1D:
    """Return the average fill price of each trade that walks the whole book, (n,) P.

    Parameters
    ----------
    price : (n,) float64
        M before the trade, P.
    signs, sizes : (n,)
        Taker's side +1 or -1, and shares.
    density : (n,) float64
        Shares per P.
    epsilon, tick : float
        Half-spread and price increment, P.

    Examples
    --------
    >>> one = np.ones(1)
    >>> walk_density(one * 0.5, np.ones(1, np.int8), one * 15, one * 1000, epsilon=0.005, tick=0.01).round(9).tolist()
    [0.516666667]
    """
    # A sale is a purchase on the mirrored price axis, whose tick grid is the same.
    edge = signs * price + epsilon
    first = np.ceil(edge / tick)
    at_first = np.minimum(sizes, density * (first * tick - edge))
    rest = sizes - at_first
    per_level = density * tick
    whole = np.floor(rest / per_level)
    in_whole = per_level * tick * (whole * first + whole * (whole + 1) / 2)
    in_last = (rest - whole * per_level) * (first + whole + 1) * tick
    filled: Float64Array1D = signs * (at_first * first * tick + in_whole + in_last) / sizes
    return filled


def display_books(
    times: Int64Array1D,
    price: Float64Array1D,
    density: Float64Array1D,
    *,
    epsilon: float,
    tick: float,
    levels: int,
    level_noise: float,
    price_max: float,
    rng: np.random.Generator,
) -> OrderBooks:
    """Return the snapshots of a path of prices and densities.

    Sizes are multiplied by lognormal noise of mean one. Levels at or below zero, or at or above ``price_max``, do not
    exist: they are NaN, and a side that has none is missing.

    Parameters
    ----------
    times : (n,) int64
        Microseconds since the epoch.
    price, density : (n,) float64
        M, P, and D, shares per P.
    epsilon, tick, price_max : float
        P.
    levels : int
        Displayed levels a side.
    level_noise : float
        Standard deviation of log-sizes.
    """
    bid_prices, bid_sizes = _ladder(-price, density * tick, epsilon=epsilon, tick=tick, levels=levels)
    ask_prices, ask_sizes = _ladder(price, density * tick, epsilon=epsilon, tick=tick, levels=levels)
    np.negative(bid_prices, out=bid_prices)
    for prices, sizes in ((bid_prices, bid_sizes), (ask_prices, ask_sizes)):
        np.multiply(sizes, np.exp(level_noise * rng.standard_normal(sizes.shape) - level_noise**2 / 2), out=sizes)
        outside = (prices <= tick / 2) | (prices >= price_max - tick / 2)
        prices[outside] = np.nan
        sizes[outside] = np.nan
    return OrderBooks(times, bid_prices, bid_sizes, ask_prices, ask_sizes)


def _ladder(
    price: Float64Array1D, per_level: Float64Array1D, *, epsilon: float, tick: float, levels: int
) -> tuple[Float64Array2D, Float64Array2D]:
    """Return prices and sizes of the asks; the bids are the asks of the negated price, negated back."""
    edge = (price + epsilon) / tick
    # The next grid point strictly beyond the edge: a level of no size is not displayed.
    first = np.floor(edge) + 1
    prices = np.round(tick * (first[:, None] + np.arange(levels)), PRICE_DECIMALS)
    sizes = np.repeat(per_level[:, None], levels, axis=1)
    sizes[:, 0] *= first - edge
    return prices, sizes
