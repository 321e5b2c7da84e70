"""Flags and refusals in a trader's words, and what would help: one entry for each that the package can raise.

A flag is a short name in answers and tables; a reason is a sentence with figures, recognised here by a fragment of it.
Tests hold both lists against the package's source, so that a new flag or a reworded reason is noticed.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Words:
    """What a flag or a reason means.

    Parameters
    ----------
    meaning : str
        For a trader; a clause without a full stop.
    help : str or None
        What to do about it; None where nothing can be done.
    """

    meaning: str
    help: str | None = None


_MORE_DAYS = "import more days, or give a longer --lookback"
_MORE_BOOKS = "import order-book snapshots for the missing hours"
_LOOK_AT_DATA = "look at the data for a wrong unit or a misread column"
_CLOCKS = "compare the clocks of trades and books, and set stamp_guard to the largest lag"

#: Calibration first, then plans and simulations.
FLAGS: dict[str, Words] = {
    "thin": Words(
        "few trades: how far a trade moves the price cannot be read from this market alone",
        "import more days, give a longer --lookback, or calibrate three busier markets of the same declared venue, to "
        "borrow from",
    ),
    "no_side": Words(
        "some trades came without a side, which was guessed from the quotes; wrong guesses make gamma too low",
        "import trades with the taker's side where the venue tells it",
    ),
    "gamma_nonpos": Words(
        "the price did not follow the trades but rather went against them: that is chance or wrong sides, not impact",
        "check that side is the taker's, and import more days",
    ),
    "gamma_ge_2b": Words(
        "what stays of the impact comes out at least as large as what the book charges at once; both cannot be true, "
        "and no schedule would be optimal",
        "look for depth that the snapshots miss, or for prices that move first and trade afterwards",
    ),
    "kappa_mismatch": Words(
        "the price comes back after trades by clearly more or less than the depth of the book says: quotes are not "
        "displayed, or trade times are late",
        _CLOCKS,
    ),
    "tick_bound": Words(
        "the tick is coarse beside the moves of the price, so volatility is measured over longer moves and less surely"
    ),
    "book_shallow": Words(
        "the snapshots show less than 12 ticks of the book, which makes the slope a few per cent too steep, and large "
        "orders are extrapolated",
        "collect more levels a side, 25 ticks if the venue shows them",
    ),
    "tick_mismatch": Words(
        "the books quote in clearly finer or coarser steps than the declared tick, so the slope is read from another "
        "stretch of the book than meant",
        "correct tick_size of the market: 'tributary import markets FILE'",
    ),
    "sigma_over_bound": Words(
        "the price moved more than a price between its bounds can go on moving until the market resolves",
        "look for bad prints, and check price_min, price_max and resolves_at of the market",
    ),
    "near_resolution": Words(
        "the market resolves within two days of the window's end: the price will then jump, and volatility does not "
        "know of it"
    ),
    "clock_lead": Words(
        "prices move before the trades that should move them: trade times are late, or traders chase the price; gamma "
        "may be off",
        _CLOCKS,
    ),
    "bucket_sensitive": Words(
        "gamma depends on whether minutes or five minutes are compared, as when traders chase the last move; it is "
        "rather too high"
    ),
    "slow_resilience": Words(
        "quotes come back so slowly that what stays cannot be told from what still fades", _MORE_DAYS
    ),
    "sigma_unscaled": Words(
        "price bounds are declared, but not all days were measured with them, or prices break them: volatility does "
        "not adapt to the price",
        "run 'tributary analytics calibrate' for this window: it measures these days anew; if that does not help, "
        "correct price_min and price_max",
    ),
    "fee_unknown": Words(
        "no fee is declared, so epsilon holds none",
        "declare fee_model (none, bps, per_contract or quadratic) and fee_rate: 'tributary import markets FILE'",
    ),
    "complement_apart": Words(
        "the market names a complement token but no price bounds, so trades of that token are not counted: flow of one "
        "token alone explains less",
        "declare price_min and price_max of the market: 'tributary import markets FILE'",
    ),
    "gamma_pooled": Words(
        "gamma is borrowed from other markets of the venue, as the market's own trades do not tell it; the permanent "
        "part of the cost is as uncertain as its wide interval",
        "import more days, or give a longer --lookback to the calibration",
    ),
    "parameters_of_series": Words(
        "the market has no sound parameters of its own and stands on those of its series; where price bounds are "
        "declared, sigma and the fee are those of the series' typical price, not of this market's"
    ),
    "slices_faster_than_resilience": Words(
        "slices follow each other before the book has recovered, and each pays for the ones before it",
        "take fewer slices or a longer horizon",
    ),
    "risk_options_ignored": Words("this strategy does not weigh risk, so the risk options change nothing"),
    "no_own_impact": Words(
        "without parameters the replay does not move the market by the order's own trades: the cost is too low",
        "calibrate the market as of the order's day",
    ),
    "headline_full_refill": Words("how fast the book refills is not known; the headline takes it to refill at once"),
    "fill_model_flatters": Words(
        "this fill model does not walk the displayed depth: large orders look too cheap", "use --fill-model orderbook"
    ),
}

#: Fragments of reasons, as the calibration words them. The first that occurs in a reason explains it.
REASONS: tuple[tuple[str, Words], ...] = (
    ("of the window's days", Words("the market's history is too short", _MORE_DAYS)),
    ("usable snapshots cover", Words("the recording has holes too large to trust any figure", _MORE_BOOKS)),
    ("there are no trades", Words("nobody traded", _MORE_DAYS)),
    ("trades in the window", FLAGS["thin"]),
    ("flow does not explain", Words("buys and sells do not visibly move this price within the window", _MORE_DAYS)),
    ("is not positive", FLAGS["gamma_nonpos"]),
    ("is not below twice the book slope", FLAGS["gamma_ge_2b"]),
    ("too few stretches of time", Words("trades come in too few separate stretches of time", _MORE_DAYS)),
    (
        "cannot be told apart",
        Words("trades follow each other so regularly that one minute's cannot be told from the next", _MORE_DAYS),
    ),
    ("telling the permanent part apart", FLAGS["slow_resilience"]),
    ("is seen to fade", Words("the price does not visibly come back after trades", _MORE_DAYS)),
    (
        "may be beyond 2 h",
        Words("the book recovers so slowly that a day does not show it: slice as if it did not", _MORE_DAYS),
    ),
    ("may be below 10 s", Words("the book recovers faster than its snapshots show, which costs you nothing")),
    ("of flow are counted: part of it fades", FLAGS["slow_resilience"]),
    ("impact fades", FLAGS["slow_resilience"]),
    ("do not share enough minutes", Words("trades and quotes hardly overlap in time", _MORE_BOOKS)),
    ("lie an hour apart", Words("the snapshots are too patchy to see an hour's move of the price", _MORE_BOOKS)),
    (
        "tick or transient impact is so large",
        Words("the price moves too little beside its tick and the bounce after trades", _MORE_DAYS),
    ),
    ("do not grow with the lag", Words("the price only bounces or stands still", _MORE_DAYS)),
    ("there is no mid", Words("no snapshot shows both a bid and an ask", _MORE_BOOKS)),
    ("stands at a price bound", Words("the market is as good as decided")),
    ("no order-book snapshots", Words("without books neither the price nor the cost of size is known", _MORE_BOOKS)),
    ("shows a bid below an ask", Words("all books are one-sided or crossed", _LOOK_AT_DATA)),
    ("no depth beyond the best quotes", Words("the books hold the best quotes alone", "collect more levels a side")),
    ("too large to", Words("some number in the data is absurdly large", _LOOK_AT_DATA)),
    ("made from book_slope", Words("it needs the slope of the book")),
)


def words_of(reason: str) -> Words | None:
    """Return what a reason means; None for one that speaks for itself.

    Examples
    --------
    >>> words_of("there are no trades in the window").meaning
    'nobody traded'
    """
    return next((words for fragment, words in REASONS if fragment in reason), None)


def flag_sentence(flag: str) -> str:
    """Return a flag with its meaning.

    Examples
    --------
    >>> flag_sentence("fee_unknown")
    'fee_unknown: no fee is declared, so epsilon holds none.'
    """
    return f"{flag}: {FLAGS[flag].meaning}." if flag in FLAGS else flag


def advice(reasons: Iterable[str], flags: Iterable[str]) -> list[str]:
    """Return what would help against these reasons and flags, each thing once, the reasons' first."""
    known = [words_of(reason) for reason in reasons] + [FLAGS.get(flag) for flag in flags]
    helps = [words.help for words in known if words is not None and words.help is not None]
    return list(dict.fromkeys(helps))
