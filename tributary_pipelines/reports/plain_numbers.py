"""Numbers as a trader says them: prices in cents or the quote currency, sizes round, as many digits as the data tell.

A market whose declared prices run from 0 to 1 speaks of cents; any other of its quote currency, or of price units when
it declares none. Digits are our choice: two, and more only where two would hide that an interval has a width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10, sqrt

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.models import Market

_FEWEST_DIGITS = 2
_MOST_DIGITS = 4
_FALLBACK_SIZE = 100.0
#: Share of a day's volume that an order of ordinary size takes.
_SHARE_OF_DAY = 0.1


def plain(value: float, digits: int = _FEWEST_DIGITS) -> str:
    """Write a number with this many significant digits, without an exponent where that stays readable.

    Examples
    --------
    >>> plain(0.4541), plain(61707.7), plain(61707.7, 3), plain(0.0), plain(4.5e-9)
    ('0.45', '62,000', '61,700', '0', '4.5e-09')
    """
    rounded = float(f"{value:.{digits}g}")
    if not rounded or not isfinite(rounded):
        return f"{rounded:g}"
    decimals = digits - 1 - floor(log10(abs(rounded)))
    return f"{rounded:.{digits}g}" if decimals > digits + 5 else f"{rounded:,.{max(decimals, 0)}f}"


def digits_that_tell(value: float, low: float, high: float) -> int | None:
    """Return the fewest digits, two to four, that keep a value apart from both ends; None when four do not.

    Examples
    --------
    >>> digits_that_tell(0.45, 0.43, 0.48), digits_that_tell(0.45, 0.449, 0.451), digits_that_tell(1.0, 1.0, 1.0)
    (2, 3, None)
    """
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        shown = [float(f"{one:.{digits}g}") for one in (low, value, high)]
        if shown[0] < shown[1] < shown[2]:
            return digits
    return None


def shares_of(size: float) -> str:
    """Write a number of shares.

    Examples
    --------
    >>> shares_of(5000.0), shares_of(0.02)
    ('5,000 shares', '0.02 shares')
    """
    return f"{size:,.8g} shares"


def round_down(size: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is not above a positive size.

    Examples
    --------
    >>> round_down(7920.0), round_down(0.3), round_down(1000.0)
    (5000.0, 0.2, 1000.0)
    """
    # The next float up: the logarithm of an exact power of ten may fall just short of it.
    power = floor(log10(size * (1 + 1e-12)))
    return max(float(f"{step}e{power}") for step in (1, 2, 5) if float(f"{step}e{power}") <= size * (1 + 1e-12))


def duration(seconds: float, digits: int = _FEWEST_DIGITS) -> str:
    """Write a time span in seconds, minutes or hours.

    Examples
    --------
    >>> duration(62.4), duration(1800), duration(5400), duration(18000)
    ('62 s', '30 min', '90 min', '5 h')
    """
    for least_s, unit_s, unit in ((10_800, 3_600, "h"), (180, 60, "min")):
        if seconds >= least_s:
            return f"{_trimmed(seconds / unit_s, digits)} {unit}"
    return f"{_trimmed(seconds, digits)} s"


def _trimmed(value: float, digits: int) -> str:
    text = plain(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


@dataclass(frozen=True, slots=True)
class PriceUnit:
    """What one market calls an amount of price.

    Parameters
    ----------
    factor : float
        Words per P: 100 for cents.
    name : str
    """

    factor: float
    name: str

    @classmethod
    def of(cls, market: Market) -> "PriceUnit":
        """Return cents for prices declared from 0 to 1, else the quote currency, else price units."""
        if (market.price_min, market.price_max) == (0.0, 1.0):
            return cls(100.0, "cents")
        return cls(1.0, market.quote_currency or "price units")

    def amount(self, price: float, digits: int = _FEWEST_DIGITS) -> str:
        """Write an amount of price with its unit."""
        return f"{plain(price * self.factor, digits)} {self.name}"

    def with_interval(self, value: float, low: float | None, high: float | None) -> tuple[str, str]:
        """Return an amount, and its 95 % interval as a clause that follows it."""
        if low is None or high is None:
            return self.amount(value), ", how surely is not known"
        value, low, high = (one * self.factor for one in (value, low, high))
        digits = digits_that_tell(value, low, high)
        if digits is None:
            return f"{plain(value, 3)} {self.name}", ", known to the digits shown"
        return f"{plain(value, digits)} {self.name}", f", between {plain(low, digits)} and {plain(high, digits)}"


@dataclass(frozen=True, slots=True)
class RoundSizes:
    """Round sizes that suit a market.

    Parameters
    ----------
    order : float
        About a tenth of what trades in a day, shares.
    at_once : float
        The same, but no more than the book usually shows, shares.
    """

    order: float
    at_once: float

    @classmethod
    def of(cls, found: AlmgrenChrissParameters) -> "RoundSizes":
        """Choose the sizes from the trades of a day and from the sizes that the book could fill."""
        fillable = largest_fillable(found)
        volume = _day_volume(found)
        wanted = _SHARE_OF_DAY * volume if volume else (fillable or _FALLBACK_SIZE) / 4
        order = round_down(wanted)
        return cls(order, round_down(min(wanted, fillable)) if fillable else order)


def _day_volume(found: AlmgrenChrissParameters) -> float | None:
    """Return trades a day times the root mean square size: a volume in the right order of magnitude, shares."""
    trades, squares = found.trades_per_day, found.flow_sq_per_day
    return sqrt(trades * squares) if trades and squares else None


def largest_fillable(found: AlmgrenChrissParameters) -> float | None:
    """Return the largest displayed size that both sides of the book could usually fill at once, shares."""
    both = zip(found.cost_sizes, found.cost_buy, found.cost_sell, strict=False)
    return _last([size for size, buy, sell in both if isfinite(buy) and isfinite(sell)])


def _last(sizes: Sequence[float]) -> float | None:
    return sizes[-1] if sizes else None
