"""Sides for trades whose taker's side the venue does not say: the quote rule, and the tick test where it is silent.

Lee & Ready (1991), Inferring trade direction from intraday data, J. Finance 46; the quote is the last one strictly
before the trade, without their delay of 5 s. How often the rule is right is measured on the trades whose side the
venue does say, and what its mistakes do to gamma follows from that. Flow itself is summed in impact_sums.py.
"""

from dataclasses import dataclass

import numpy as np

from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.frames import Float64Array1D, Int8Array1D, OrderBooks, Trades

#: Prices this close, relative to each other, are equal: a mid of two ticks and a price turned to the other token
#: carry rounding of about 1e-16, and no venue's tick is as fine.
_EQUAL = 1e-10


@dataclass(frozen=True, slots=True)
class SideCounts:
    """How many sides the rule gave, and how often it agreed with the venue.

    Parameters
    ----------
    n_unsigned : int
        Trades without the venue's side; all of them are signed by the rule, which begins with a buy when it knows
        nothing yet.
    n_checked : int
        Trades with the venue's side for which a quote or a price change gives a side, too.
    n_agreeing : int
        Of them, those where both are the same.
    """

    n_unsigned: int
    n_checked: int
    n_agreeing: int

    @property
    def misclassification_rate(self) -> float | None:
        """Share of the checked trades that the rule gets wrong, 0..1; None when none could be checked."""
        return 1 - self.n_agreeing / self.n_checked if self.n_checked else None


def sign_trades(trades: Trades, usable: OrderBooks, reach_us: float) -> tuple[Trades, SideCounts]:
    """Give the trades of unknown side the side of the Lee-Ready rule; the venue's sides stay as they are.

    A price above the mid is a buy, below it a sell. At the mid, or without a fresh quote, the last nonzero change of
    the trade price decides (up: buy), and before the first change it is a buy.

    Parameters
    ----------
    trades : Trades
        (n,) ascending; sign 0 is unknown.
    usable : OrderBooks
        Ascending; snapshots that are one-sided or crossed are passed over.
    reach_us : float
        How long a snapshot speaks for the market, us. Only snapshots strictly before a trade count: one of the same
        time may already show what the trade did.

    Returns
    -------
    tuple of Trades and SideCounts
        The same trades in the same order, with no sign 0 left, and the counts.

    Examples
    --------
    >>> from tributary_pipelines.core.frames import no_order_books
    >>> prices = np.array([0.5, 0.51, 0.51, 0.49])
    >>> tape = Trades(np.arange(4), prices, np.ones(4), np.array([0, 0, 1, -1], np.int8))
    >>> signed, counts = sign_trades(tape, no_order_books(), 30e6)
    >>> signed.signs.tolist(), counts.n_unsigned, counts.n_checked, counts.n_agreeing
    ([1, 1, 1, -1], 2, 2, 2)
    """
    by_quote = _quote_signs(trades, usable, reach_us)
    found = np.where(by_quote != 0, by_quote, _tick_signs(trades.prices))
    is_unsigned = trades.signs == 0
    signs = np.where(is_unsigned, np.where(found != 0, found, 1), trades.signs).astype(np.int8)
    # The buy that the rule begins with is a convention, not a finding: it is no evidence of how good the rule is.
    is_checked = ~is_unsigned & (found != 0)
    n_unsigned = int(np.count_nonzero(is_unsigned))
    counts = SideCounts(
        n_unsigned=n_unsigned,
        n_checked=int(np.count_nonzero(is_checked)),
        n_agreeing=int(np.count_nonzero(is_checked & (found == trades.signs))),
    )
    return Trades(trades.times, trades.prices, trades.sizes, signs), counts


def attenuation(counts: SideCounts, rule_signed_share: float) -> float | None:
    """Return the factor by which mistaken sides shrink the estimate of gamma, about 1 - 2 m w.

    A trade of the wrong side puts -v where +v belongs. With a share m of wrong sides among the rule's, independent of
    sizes, the flow F' that is seen has E[F' F] = (1 - 2 m w) E[F'^2] with the true flow F, and the slope on it is
    (1 - 2 m w) gamma; R2 shrinks by the square (our derivation).

    Parameters
    ----------
    counts : SideCounts
        Sums over the window; they give m. The venue's own sides are taken for right.
    rule_signed_share : float
        w, share of the trades (or of their volume) whose side is the rule's, 0..1.

    Returns
    -------
    float or None
        1 when no side is the rule's; None when the rule could not be checked; below 0 when the rule is worse than
        a coin.

    Raises
    ------
    ValidationError
        The share is not within 0..1.

    Examples
    --------
    >>> attenuation(SideCounts(n_unsigned=50, n_checked=50, n_agreeing=45), 0.5)
    0.9
    """
    if not 0 <= rule_signed_share <= 1:
        raise ValidationError(
            f"share of trades signed by rule is {rule_signed_share}; give a fraction between 0 and 1, "
            "trades signed by the rule over all trades of the window"
        )
    if rule_signed_share == 0:
        return 1.0
    rate = counts.misclassification_rate
    return None if rate is None else 1 - 2 * rate * rule_signed_share


def _quote_signs(trades: Trades, usable: OrderBooks, reach_us: float) -> Int8Array1D:
    """Return the side of each price against the last mid before it, 0 at the mid and where none is fresh."""
    with np.errstate(over="ignore"):
        mids = usable.mids
    rows = np.flatnonzero(np.isfinite(mids))
    if not len(rows):
        return np.zeros(len(trades), np.int8)
    times, mids = usable.times[rows], mids[rows]
    last = np.searchsorted(times, trades.times, side="left") - 1
    is_fresh = (last >= 0) & (trades.times - times[last] <= reach_us)
    return np.where(is_fresh, _directions(mids[last], trades.prices), 0).astype(np.int8)


def _tick_signs(prices: Float64Array1D) -> Int8Array1D:
    """Return the sign of the last nonzero price change up to each trade, 0 before the first."""
    changes = np.zeros(len(prices), np.int8)
    changes[1:] = _directions(prices[:-1], prices[1:])
    last = np.maximum.accumulate(np.where(changes != 0, np.arange(len(prices)), 0))
    return changes[last]


def _directions(before: Float64Array1D, after: Float64Array1D) -> Int8Array1D:
    """Return +1 where the price rises, -1 where it falls, 0 where both are equal but for rounding."""
    moves = after - before
    return np.where(np.abs(moves) > _EQUAL * np.abs(before), np.sign(moves), 0).astype(np.int8)
