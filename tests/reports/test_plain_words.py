"""A calibration in words: every sentence by hand, what is borrowed and from whom, what is missing and why."""

import pytest

from tests.reports.calibrations import CENTS, DOLLARS, calibrated
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.units import PARAMETER_UNITS
from tributary_pipelines.reports.plain_words import (
    TELLS,
    describe,
    flag_lines,
    missing,
    unexplained,
    window_reasons,
)

FREE_NO_MORE = Market(market_id="toy", token_id="yes", price_min=0, price_max=1)


def test_every_parameter_has_a_sentence_with_its_interval() -> None:
    assert describe(calibrated(width=0.2), CENTS) == {
        "sigma": "The price moves about 3.0 cents in a day, between 2.4 and 3.6 (6.0 % of a price of 50.00 cents); "
        "0.61 cents in an hour.",
        # A tenth of 40,000 shares a day is 4,000, the round size below it 2,000: 0.004 * 2 cents.
        "gamma": "A buy of 2,000 shares moves the price 0.80 cents for good, between 0.64 and 0.96.",
        "epsilon": "Crossing the spread costs 0.55 cents a share, between 0.44 and 0.66; there is no fee.",
        "book_slope": "An order of 2,000 shares at once pays on average 2.0 cents more a share, between 1.6 and 2.4.",
        # ln 2 / 1000 days are 59.9 s; ln 2 / 1200 and ln 2 / 800 its ends.
        "resilience_rate": "Half of the displaced quotes is back after 60 s, between 50 s and 75 s.",
        "eta": "2,000 shares every 30 min pay 2.0 cents a share beyond the spread, between 1.6 and 2.4; twice as many, "
        "twice as much.",
    }


def test_other_markets_speak_of_their_currency_and_name_the_fee() -> None:
    lines = describe(calibrated(width=0.2, fee_per_share=0.0005), DOLLARS)
    assert lines["epsilon"] == (
        "Crossing the spread costs 0.0055 USD a share, between 0.0044 and 0.0066; of which 0.00050 USD is the fee."
    )
    assert "0.0080 USD for good" in lines["gamma"]


def test_a_fee_that_nobody_declared_is_no_free_trade() -> None:
    line = describe(calibrated(), FREE_NO_MORE)["epsilon"]
    assert line.endswith("; no fee is declared, so none is counted.")


def test_sides_of_the_book_that_differ_are_both_named() -> None:
    lines = describe(calibrated(width=0.2, book_slope_buy=1.5e-5, book_slope_sell=0.5e-5), CENTS)
    assert "2.0 cents more a share (a buy 3.0 cents, a sell 1.0 cents), between" in lines["book_slope"]
    lines = describe(calibrated(width=0.2, book_slope_buy=1.05e-5, book_slope_sell=0.95e-5), CENTS)
    assert "a sell" not in lines["book_slope"]


def test_without_an_interval_the_sentences_say_so() -> None:
    lines = describe(calibrated(), CENTS)
    assert [name for name, line in lines.items() if "how surely is not known" in line] == list(PARAMETER_UNITS)


def test_a_book_that_refills_slowly_is_named_where_slices_are_close() -> None:
    assert "to recover" not in describe(calibrated(eta_interval_s=440.0), CENTS)["eta"]
    # 5 / 1000 days are 432 s.
    assert describe(calibrated(eta_interval_s=430.0), CENTS)["eta"].endswith(
        "The book needs 7.2 min to recover, so each slice also pays for the ones before it."
    )


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (0.9, "Borrowed: 90 % of it from 3 markets of v (a, b, c), 10 % from what its own trades say."),
        (1.0, "Borrowed from 3 markets of v (a, b, c): its own trades say nothing."),
    ],
)
def test_a_pooled_gamma_names_the_lenders_and_their_weight(weight: float, said: str) -> None:
    found = calibrated(sources={"gamma": "pooled"}, width=0.5, pool_weight=weight, pool_markets=("a", "b", "c"))
    assert describe(found, CENTS)["gamma"].endswith(said)


def test_many_lenders_are_counted_and_five_are_named() -> None:
    found = calibrated(sources={"gamma": "pooled"}, pool_weight=0.5, pool_markets=tuple("abcdefg"))
    assert "7 markets of its venue (a, b, c, d, e, ...)" in describe(found, DOLLARS)["gamma"]


@pytest.mark.parametrize(
    ("left", "said"),
    [
        # 1 - 2 m w = 0.9: five in a hundred are wrong.
        (0.9, "About 5.0 % of the trades have the wrong side, guessed by the quote rule: gamma is too low by 10 %."),
        (None, "Sides were guessed, and how often wrongly cannot be checked: gamma may be too low."),
        (0.0, "Half of the sides or more are wrong: gamma says nothing."),
    ],
)
def test_guessed_sides_say_what_they_do_to_gamma(left: float | None, said: str) -> None:
    assert describe(calibrated(side_attenuation=left, flags=("no_side",)), CENTS)["gamma"].endswith(said)


@pytest.mark.parametrize("left", [1.0, None])
def test_sides_that_the_venue_told_need_no_word(left: float | None) -> None:
    assert describe(calibrated(side_attenuation=left), CENTS)["gamma"].endswith("not known.")


def test_a_refused_parameter_says_what_is_missing_and_why() -> None:
    reason = "flow does not explain the moves of the mid: t is 1.20, 2 is needed"
    found = calibrated(sources={"gamma": "refused"}, reasons=(f"gamma: {reason}",))
    assert "gamma" not in describe(found, CENTS)
    assert missing(found) == {
        "gamma": "How far trades move the price for good is not known: buys and sells do not visibly move this price "
        f"within the window ({reason})."
    }
    assert unexplained(found) == []


def test_a_reason_without_words_stands_for_itself() -> None:
    found = calibrated(sources={"gamma": "refused"}, reasons=("gamma: the dog ate it",))
    assert missing(found)["gamma"].endswith("is not known: the dog ate it.")


def test_reasons_of_the_window_are_told_once() -> None:
    reason = "there is data on 2 of the window's days; 3 are needed"
    found = calibrated(is_refused=True, reasons=(reason,))
    assert window_reasons(found) == [f"{reason}: the market's history is too short"]
    assert (describe(found, CENTS), missing(found), unexplained(found)) == ({}, {}, list(PARAMETER_UNITS))
    assert window_reasons(calibrated(reasons=("else",))) == ["else"]


def test_flags_are_sentences_and_nothing_is_said_twice() -> None:
    reason = "12 trades in the window; 200 are needed (min_trades_required)"
    lines = flag_lines(calibrated(reasons=(reason,), flags=("thin", "fee_unknown")))
    assert lines == ["thin: as said above.", "fee_unknown: no fee is declared, so epsilon holds none."]


def test_every_parameter_has_its_words() -> None:
    assert list(TELLS) == list(PARAMETER_UNITS)
