"""Cost of one market order against its size, averaged over the sampled books: its power law, and for display.

The slope b comes from each book's own depth (book_costs.py). Here the same six costs are averaged and a power law
c(n) = a0 + a n^beta is laid through them: beta is 1 for a book of even depth and below 1 where depth grows away from
the best quotes. Costs at absolute sizes, doubling from the lot, are for pictures: large sizes are averages over the
deep books alone.
"""

import numpy as np

from tributary_pipelines.analytics.book_costs import FRACTIONS, cost_curve
from tributary_pipelines.core.frames import Float64Array1D, OrderBooks

N_SIZES = 32
#: First displayed size where the market declares no lot, shares.
SMALLEST_SIZE = 2.0**-10
_EXPONENTS = np.linspace(0.1, 4.0, 391)
_FEWEST_BOOKS = 20


def display_sizes(unit: float) -> Float64Array1D:
    """Return the sizes a cost curve is shown at, (32,) shares: the unit, doubled again and again."""
    sizes: Float64Array1D = unit * 2.0 ** np.arange(N_SIZES, dtype=np.float64)
    return sizes


def display_sums(sampled: OrderBooks, unit: float) -> dict[str, Float64Array1D]:
    """Return the first displayed size, and by size the sums of buying and selling costs and how many books could fill.

    Parameters
    ----------
    sampled : OrderBooks
        Two-sided snapshots.
    unit : float
        First size, shares.
    """
    quantities = np.broadcast_to(display_sizes(unit), (len(sampled), N_SIZES))
    sums = {"cost_unit": np.array(unit)}
    for side, costs in zip(("buy", "sell"), cost_curve(sampled, quantities), strict=True):
        can_fill = np.isfinite(costs)
        sums[f"cost_{side}_sum"] = np.where(can_fill, costs, 0.0).sum(axis=0)
        sums[f"n_cost_{side}"] = can_fill.sum(axis=0).astype(np.float64)
    return sums


def mean_curve(sums: Float64Array1D, counts: Float64Array1D) -> Float64Array1D:
    """Return mean costs of a displayed curve, (32,) P; NaN where fewer than 20 snapshots, or half, could fill."""
    enough = counts >= max(_FEWEST_BOOKS, 0.5 * float(counts.max(initial=0.0)))
    mean = np.full(len(sums), np.nan)
    mean[enough] = sums[enough] / counts[enough]
    return mean


def power_law_exponent(mean_costs: Float64Array1D) -> float | None:
    """Return beta of c(f) = a0 + a f^beta through the mean costs at ``FRACTIONS`` of the depth.

    Least squares with a0 and a solved for each beta of a grid of 0.01; beta has no unit and does not depend on the
    depth itself. None where costs do not rise with the size.

    Parameters
    ----------
    mean_costs : (6,) float64
        P.

    Examples
    --------
    >>> power_law_exponent(0.005 + 0.01 * FRACTIONS**0.5)
    0.5
    """
    if not np.isfinite(mean_costs).all() or mean_costs[-1] - mean_costs[0] <= 1e-12 * abs(mean_costs[-1]):
        return None
    powers = FRACTIONS[None, :] ** _EXPONENTS[:, None]
    centred = powers - powers.mean(axis=1, keepdims=True)
    costs = mean_costs - mean_costs.mean()
    slopes = centred @ costs / (centred**2).sum(axis=1)
    errors = ((costs - slopes[:, None] * centred) ** 2).sum(axis=1)
    return round(float(_EXPONENTS[int(np.argmin(errors))]), 2)
