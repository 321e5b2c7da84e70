"""A calibration in a trader's words: one line for each parameter, with its interval, its source, and what is missing.

Nothing is estimated here; sizes and units are chosen by plain_numbers.py, flags and reasons explained by
warning_words.py. The lines stand beside the table of numbers, never in its place.
"""

from collections.abc import Callable
from math import log, sqrt

from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters, Estimate
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import SECONDS_PER_DAY
from tributary_pipelines.reports.plain_numbers import (
    PriceUnit,
    RoundSizes,
    digits_that_tell,
    duration,
    plain,
    shares_of,
)
from tributary_pipelines.reports.warning_words import FLAGS, flag_sentence, words_of

#: What each parameter tells, for the lines of those that are missing.
TELLS = {
    "sigma": "how much the price moves",
    "gamma": "how far trades move the price for good",
    "epsilon": "what crossing the spread costs",
    "book_slope": "what size costs",
    "resilience_rate": "how fast the book refills",
    "eta": "what slicing costs",
}
_HALF_LIVES_TO_RECOVER = 5 / log(2)
#: Sides of the book that differ less are not worth a word.
_LEAST_SIDE_GAP = 0.2
_MOST_NAMES = 5


def describe(found: AlmgrenChrissParameters, market: Market) -> dict[str, str]:
    """Return a sentence for each parameter that has a value, by its name.

    Parameters
    ----------
    found : AlmgrenChrissParameters
    market : Market
        Says whether prices are cents, and whose fee it is.
    """
    unit, sizes = PriceUnit.of(market), RoundSizes.of(found)
    lines = {}
    for name, one in found.estimates.items():
        if one.value is not None:
            lines[name] = _SENTENCES[name](found, market, unit, sizes, one)
    if found.estimates["gamma"].source == "pooled":
        lines["gamma"] += f" {borrowed(found, market)}"
    elif "gamma" in lines and (wrong := attenuated(found)) is not None:
        lines["gamma"] += f" {wrong}"
    return lines


def missing(found: AlmgrenChrissParameters) -> dict[str, str]:
    """Return a sentence for each refused parameter that has a reason of its own, by its name."""
    lines = {}
    for name, one in found.estimates.items():
        own = [reason.removeprefix(f"{name}: ") for reason in found.reasons if reason.startswith(f"{name}: ")]
        if one.source == "refused" and own:
            words = words_of(own[-1])
            why = f"{words.meaning} ({own[-1]})" if words is not None else own[-1]
            lines[name] = f"{_capital(TELLS[name])} is not known: {why}."
    return lines


def unexplained(found: AlmgrenChrissParameters) -> list[str]:
    """Return the refused parameters that have no reason of their own: the window as a whole tells too little."""
    told = missing(found)
    return [name for name, one in found.estimates.items() if one.source == "refused" and name not in told]


def window_reasons(found: AlmgrenChrissParameters) -> list[str]:
    """Return the reasons that concern the window, each with its meaning."""
    own = tuple(f"{name}: " for name in found.estimates)
    general = [reason for reason in found.reasons if not reason.startswith(own)]
    explained = [(reason, words_of(reason)) for reason in general]
    return [reason if words is None else f"{reason}: {words.meaning}" for reason, words in explained]


def flag_lines(found: AlmgrenChrissParameters) -> list[str]:
    """Return each flag with its meaning; what a reason has said already is not said again."""
    said = [words_of(reason) for reason in found.reasons]
    return [f"{flag}: as said above." if FLAGS.get(flag) in said else flag_sentence(flag) for flag in found.flags]


def borrowed(found: AlmgrenChrissParameters, market: Market) -> str:
    """Return from whom a pooled gamma is borrowed, and how much of it."""
    names = ", ".join(found.pool_markets[:_MOST_NAMES])
    names += ", ..." if len(found.pool_markets) > _MOST_NAMES else ""
    lenders = f"{len(found.pool_markets)} markets of {market.venue or 'its venue'} ({names})"
    if found.pool_weight is None or found.pool_weight > 0.995:
        return f"Borrowed from {lenders}: its own trades say nothing."
    return (
        f"Borrowed: {100 * found.pool_weight:.0f} % of it from {lenders}, {100 * (1 - found.pool_weight):.0f} % from "
        "what its own trades say."
    )


def attenuated(found: AlmgrenChrissParameters) -> str | None:
    """Return what sides guessed by the quote rule do to gamma; None when the venue told them all."""
    left = found.side_attenuation
    if left is None:
        unchecked = "Sides were guessed, and how often wrongly cannot be checked: gamma may be too low."
        return unchecked if "no_side" in found.flags else None
    if left >= 1:
        return None
    if left <= 0:
        return "Half of the sides or more are wrong: gamma says nothing."
    wrong = (1 - left) / 2
    return (
        f"About {plain(100 * wrong)} % of the trades have the wrong side, guessed by the quote rule: gamma is too low "
        f"by {plain(100 * (1 - left))} %."
    )


_Arguments = tuple[AlmgrenChrissParameters, Market, PriceUnit, RoundSizes, Estimate]


def _sigma(found: AlmgrenChrissParameters, _: Market, unit: PriceUnit, __: RoundSizes, one: Estimate) -> str:
    assert one.value is not None
    amount, interval = unit.with_interval(one.value, one.ci_low, one.ci_high)
    share, mid = "", found.last_mid
    if mid:
        share = f" ({plain(100 * one.value / abs(mid))} % of a price of {unit.amount(mid, 4)})"
    hour = unit.amount(one.value / sqrt(24))
    return f"The price moves about {amount} in a day{interval}{share}; {hour} in an hour."


def _gamma(_: AlmgrenChrissParameters, __: Market, unit: PriceUnit, sizes: RoundSizes, one: Estimate) -> str:
    amount, interval = _times(unit, one, sizes.order)
    return f"A buy of {shares_of(sizes.order)} moves the price {amount} for good{interval}."


def _epsilon(found: AlmgrenChrissParameters, market: Market, unit: PriceUnit, _: RoundSizes, one: Estimate) -> str:
    amount, interval = _times(unit, one, 1.0)
    if market.fee_model is None:
        fee = "no fee is declared, so none is counted"
    elif found.fee_per_share:
        fee = f"of which {unit.amount(found.fee_per_share)} is the fee"
    else:
        fee = "there is no fee"
    return f"Crossing the spread costs {amount} a share{interval}; {fee}."


def _book_slope(found: AlmgrenChrissParameters, _: Market, unit: PriceUnit, sizes: RoundSizes, one: Estimate) -> str:
    amount, interval = _times(unit, one, sizes.at_once)
    buy, sell = found.book_slope_buy, found.book_slope_sell
    sides = ""
    if buy and sell and one.value and abs(buy - sell) > _LEAST_SIDE_GAP * one.value:
        sides = f" (a buy {unit.amount(buy * sizes.at_once)}, a sell {unit.amount(sell * sizes.at_once)})"
    return f"An order of {shares_of(sizes.at_once)} at once pays on average {amount} more a share{sides}{interval}."


def _resilience(found: AlmgrenChrissParameters, *_: object) -> str:
    one = found.estimates["resilience_rate"]
    # A high rate is a short half-life: the ends change places.
    ends = [None if rate is None else log(2) * SECONDS_PER_DAY / rate for rate in (one.ci_high, one.value, one.ci_low)]
    low, value, high = ends
    assert value is not None
    if low is None or high is None:
        return f"Half of the displaced quotes is back after {duration(value)}, how surely is not known."
    digits = digits_that_tell(value, low, high) or 3
    shown = [duration(end, digits) for end in (value, low, high)]
    return f"Half of the displaced quotes is back after {shown[0]}, between {shown[1]} and {shown[2]}."


def _eta(found: AlmgrenChrissParameters, _: Market, unit: PriceUnit, sizes: RoundSizes, one: Estimate) -> str:
    interval_s = found.eta_interval_s
    amount, interval = _times(unit, one, sizes.at_once * SECONDS_PER_DAY / interval_s)
    line = (
        f"{_capital(shares_of(sizes.at_once))} every {duration(interval_s)} pay {amount} a share beyond the "
        f"spread{interval}; twice as many, twice as much."
    )
    recovery_s = _HALF_LIVES_TO_RECOVER * (found.half_life_s or 0.0)
    if recovery_s > interval_s:
        line += f" The book needs {duration(recovery_s)} to recover, so each slice also pays for the ones before it."
    return line


def _times(unit: PriceUnit, one: Estimate, factor: float) -> tuple[str, str]:
    """Return an estimate times a size as an amount, and its interval."""
    assert one.value is not None
    low, high = (None if end is None else end * factor for end in (one.ci_low, one.ci_high))
    return unit.with_interval(one.value * factor, low, high)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


_SENTENCES: dict[str, Callable[[AlmgrenChrissParameters, Market, PriceUnit, RoundSizes, Estimate], str]] = {
    "sigma": _sigma,
    "gamma": _gamma,
    "epsilon": _epsilon,
    "book_slope": _book_slope,
    "resilience_rate": _resilience,
    "eta": _eta,
}
