"""Quantities that add up: whole lots by largest remainder, or floats whose exact sum is the order. Our choice: the
largest remainder keeps every slice within one lot of its ideal, and an order that is no whole number of lots is
refused rather than changed.
"""

from decimal import Decimal
from math import ulp

import numpy as np

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D


def round_to_lots(slices: Float64Array1D, shares: float, lot_size: float) -> Float64Array1D:
    """Round quantities to whole lots by largest remainder, so that they still add up to the order.

    Parameters
    ----------
    slices : (N,) float64
        Quantities that add up to ``shares``, >= 0.
    shares : float
        Size of the order, a whole number of lots.
    lot_size : float
        Size increment, > 0.

    Raises
    ------
    ValidationError
        ``shares`` is not a whole number of lots.

    Examples
    --------
    >>> round_to_lots(np.array([1.6, 0.9, 0.5]), 3.0, 1.0).tolist()
    [2.0, 1.0, 0.0]
    """
    n_lots = round(shares / lot_size)
    if n_lots < 1 or abs(n_lots * lot_size - shares) > 1e-9 * shares:
        raise ValidationError(f"shares {shares:g} is not a whole number of lots of {lot_size:g} (--shares)")
    ideal = slices * (n_lots / slices.sum())
    lots = np.floor(ideal).astype(np.int64)
    # Stable: of equal remainders the earlier slice gets the lot.
    last_in = np.argsort(lots - ideal, kind="stable")
    lots[last_in[: n_lots - int(lots.sum())]] += 1
    size = Decimal(repr(float(lot_size)))
    return np.array([float(size * count) for count in lots.tolist()])


def sum_exactly(slices: Float64Array1D, shares: float) -> Float64Array1D:
    """Return the quantities on the grid of the last digit of ``shares``, so that they add up to it exactly.

    On that grid every partial sum, in any order, is exact; the few digits that are missing go to the largest slice.

    Parameters
    ----------
    slices : (N,) float64
        Quantities that add up to ``shares`` but for rounding, >= 0.
    shares : float
        Size of the order.

    Examples
    --------
    >>> sum(sum_exactly(np.full(10, 0.1), 1.0).tolist())
    1.0
    """
    grid = ulp(shares)
    exact: Float64Array1D = np.round(slices / grid) * grid
    exact[np.argmax(exact)] += shares - exact.sum()
    return exact
