"""What the displayed book charges for size: cost curves and the slope b of one snapshot.

A market order of n shares pays c(n) = s (VWAP(n) - mid) = epsilon + b n on a book of uniform density D, b = 1/(2 D).
The slope of a snapshot is fitted over its own depth: d is the smaller side's displayed volume within 25 ticks of its
best quote, and c is regressed on n = d * (1/32, 1/16, 1/8, 1/4, 1/2, 1) over both sides. One fixed range of sizes for a
whole window would drop the books too thin to fill it, which are the steepest.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tributary_pipelines.core.frames import Float64Array1D, Float64Array2D, OrderBooks

SPAN_TICKS = 25
FRACTIONS = 2.0 ** np.arange(-5, 1)
# Ordinary least squares on fixed regressors is a weighted sum of the costs.
_WEIGHTS = (FRACTIONS - FRACTIONS.mean()) / np.sum((FRACTIONS - FRACTIONS.mean()) ** 2)


@dataclass(frozen=True, slots=True)
class BookSlopes:
    """Slopes of snapshots, all (n,).

    Parameters
    ----------
    buy, sell : (n,) float64
        Cost slope of the ask and of the bid side, P/share; the pooled fit is their mean. NaN without displayed size.
    spans : (n,) float64
        Distance from the best quote to the last level used, on the narrower side, in ticks; 0 without a tick.
    depths : (n,) float64
        Smaller side's displayed volume within 25 ticks, shares; NaN when it is none.
    costs : (n, 6) float64
        Cost per share against the mid of ``FRACTIONS`` of that depth, mean of both sides, P.
    """

    buy: Float64Array1D
    sell: Float64Array1D
    spans: Float64Array1D
    depths: Float64Array1D
    costs: Float64Array2D

    @property
    def both(self) -> Float64Array1D:
        """(n,) slope b of the fit over both sides, P/share."""
        return (self.buy + self.sell) / 2

    @property
    def intercepts(self) -> Float64Array1D:
        """(n,) intercept a of the fit over both sides, P: what the smallest order pays."""
        intercepts: Float64Array1D = self.costs.mean(axis=1) - self.both * self.depths * FRACTIONS.mean()
        return intercepts


def cost_curve(books: OrderBooks, quantities: Float64Array2D) -> tuple[Float64Array2D, Float64Array2D]:
    """Return the cost per share of buying and of selling at once, each (n, k) P against the mid.

    Parameters
    ----------
    books : OrderBooks
        n two-sided snapshots.
    quantities : (n, k) float64
        Shares, > 0.

    Returns
    -------
    tuple of (n, k) float64
        Buy and sell costs; NaN where the quantity exceeds the displayed depth.
    """
    half = ((books.best_asks - books.best_bids) / 2)[:, None]
    curves = []
    for prices, sizes in ((books.ask_prices, books.ask_sizes), (books.bid_prices, books.bid_sizes)):
        displayed = np.nansum(sizes, axis=1)[:, None]
        costs = half + _walk(_distances(prices), np.nan_to_num(sizes), quantities)
        curves.append(np.where(quantities <= displayed * (1 + 1e-12), costs, np.nan))
    return curves[0], curves[1]


def measure_book_slopes(books: OrderBooks, tick_size: float | None) -> BookSlopes:
    """Fit b to each snapshot over its own depth.

    Parameters
    ----------
    books : OrderBooks
        n two-sided, uncrossed snapshots.
    tick_size : float, optional
        P; without it the whole displayed depth is used.

    Examples
    --------
    >>> one = np.array([[100.0, 100.0]])
    >>> books = OrderBooks(np.zeros(1, np.int64), np.array([[0.49, 0.48]]), one, np.array([[0.51, 0.52]]), one)
    >>> measure_book_slopes(books, 0.01).both.round(9).tolist()
    [2.4449e-05]
    """
    asks, ask_sizes, ask_spans = _near(books.ask_prices, books.ask_sizes, tick_size)
    bids, bid_sizes, bid_spans = _near(books.bid_prices, books.bid_sizes, tick_size)
    depth = np.minimum(ask_sizes.sum(axis=1), bid_sizes.sum(axis=1))
    depth = np.where(depth > 0, depth, np.nan)
    quantities = depth[:, None] * FRACTIONS
    buy, sell = _walk(asks, ask_sizes, quantities), _walk(bids, bid_sizes, quantities)
    half = ((books.best_asks - books.best_bids) / 2)[:, None]
    return BookSlopes(
        buy @ _WEIGHTS / depth,
        sell @ _WEIGHTS / depth,
        np.minimum(ask_spans, bid_spans),
        depth,
        half + (buy + sell) / 2,
    )


def infer_tick(books: OrderBooks) -> float | None:
    """Return the smallest step between prices on display, P; None when there are fewer than two prices.

    Examples
    --------
    >>> one = np.ones((1, 2))
    >>> infer_tick(OrderBooks(np.zeros(1, np.int64), np.array([[0.49, 0.46]]), one, np.array([[0.5, 0.53]]), one))
    0.01
    """
    prices = np.concatenate([books.bid_prices.ravel(), books.ask_prices.ravel()])
    prices = np.unique(prices[np.isfinite(prices)])
    steps = np.diff(prices)
    # Sums of decimals differ in their last bits; such a step is no price step.
    steps = steps[steps > 1e-9 * prices[1:]]
    return float(f"{steps.min():.6g}") if len(steps) else None


def _near(
    prices: Float64Array2D, sizes: Float64Array2D, tick_size: float | None
) -> tuple[Float64Array2D, Float64Array2D, Float64Array1D]:
    """Return distances from the best quote, sizes and the span in ticks of the levels within 25 ticks."""
    distances = _distances(prices)
    unit = tick_size if tick_size is not None else np.inf
    within: NDArray[np.bool_] = (sizes > 0) & (distances <= (SPAN_TICKS + 1e-6) * unit)
    width = max(int(np.flatnonzero(within.any(axis=0)).max(initial=0)) + 1, 1)
    distances, within = distances[:, :width], within[:, :width]
    spans = np.max(distances / unit, axis=1, where=within, initial=0.0)
    return distances, np.where(within, sizes[:, :width], 0.0), spans


def _distances(prices: Float64Array2D) -> Float64Array2D:
    return np.nan_to_num(np.abs(prices - prices[:, :1]))


def _walk(distances: Float64Array2D, sizes: Float64Array2D, quantities: Float64Array2D) -> Float64Array2D:
    """Return the average distance from the best quote that each quantity pays, (n, k) P."""
    before = np.cumsum(sizes, axis=1) - sizes
    taken = np.clip(quantities[:, :, None] - before[:, None, :], 0.0, sizes[:, None, :])
    paid: Float64Array2D = np.einsum("nkl,nl->nk", taken, distances) / quantities
    return paid
