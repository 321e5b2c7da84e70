"""Who lends to a thin market of the store: its own venue, what was known by its window's end, and not for long."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from math import exp, log
from typing import Any

import pandas as pd
import pytest

from tests.analytics.markets import START
from tests.analytics.optimization.lenders import calibration, members
from tests.flows.conftest import Desk, write_entry
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.optimization.pooling import make_pool
from tributary_pipelines.core.errors import ValidationError
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.settings import AnalyticsSettings, CalibrationSettings
from tributary_pipelines.flows.calibration import calibrate_market, calibrate_windows, store_parameters
from tributary_pipelines.flows.pooling import VenuePools
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.duckdb.results import DuckDBResults

VENUE = "venue"
END = START + timedelta(days=30)
THIN = Market(market_id="thin", token_id="t", venue=VENUE)


def entries(names: Iterable[str] = "abcd", **changes: object) -> list[Market]:
    return [Market(**{"market_id": name, "token_id": "t", "venue": VENUE} | changes) for name in names]


def shifted(found: AlmgrenChrissParameters, days: float) -> AlmgrenChrissParameters:
    """The same calibration of a window that ends this much later."""
    by = timedelta(days=days)
    ends = {name: getattr(found, name) + by for name in ("window_start", "window_end", "usable_from")}
    return replace(found, **ends)


def lent(
    store: MarketStore,
    stored: Sequence[AlmgrenChrissParameters],
    known: Iterable[Market] | None = None,
    market: Market = THIN,
) -> AlmgrenChrissParameters:
    """What the thin market's calibration becomes with these calibrations in the store."""
    if stored:
        store_parameters(store, stored)
    own = replace(calibration(), market_id=market.market_id, token_id=market.token_id)
    pools = VenuePools(store, [*(entries() if known is None else known), market], [own])
    return pools.lend(market, [own])[0]


def test_three_markets_of_the_venue_lend(duckdb_store: MarketStore) -> None:
    found = lent(duckdb_store, members())
    assert (found.status, found.pool_markets) == ("pooled", ("a", "b", "c"))
    # A quarter of sigma / sqrt(flow); by hand in the test of the arithmetic.
    assert found.value("gamma") == pytest.approx(0.25e-3, rel=1e-12)


def test_what_becomes_usable_after_the_windows_end_does_not_lend(duckdb_store: MarketStore) -> None:
    at_its_end, later = members()[:2], shifted(members()[2], 1)
    assert lent(duckdb_store, [*at_its_end, later]).status == "refused"
    assert lent(duckdb_store, [members()[2]]).status == "pooled"
    # Now both windows of c are in the store: the later one is not even looked at.
    wild = shifted(calibration("c", 1.0), 1)
    assert lent(duckdb_store, [wild]).value("gamma") == pytest.approx(0.25e-3, rel=1e-12)


def test_who_was_not_calibrated_for_a_week_does_not_lend(duckdb_store: MarketStore) -> None:
    recent = [shifted(one, -6) for one in members()[:2]]
    assert lent(duckdb_store, [*recent, shifted(members()[2], -7)]).status == "refused"
    assert lent(duckdb_store, [shifted(members()[2], -6)]).status == "pooled"


def test_the_newest_calibration_of_each_market_counts(duckdb_store: MarketStore) -> None:
    older = [shifted(calibration(name, 1.0), -2) for name in "abc"]
    assert lent(duckdb_store, [*members(), *older]).value("gamma") == pytest.approx(0.25e-3, rel=1e-12)


@pytest.mark.parametrize(
    "known",
    [entries("ab"), [*entries("ab"), *entries("c", venue="elsewhere")], [*entries("ab"), *entries("c", venue=None)]],
    ids=["not known any more", "other venue", "venue unknown"],
)
def test_other_venues_do_not_lend(duckdb_store: MarketStore, known: list[Market]) -> None:
    assert lent(duckdb_store, members(), known).status == "refused"


def test_a_market_whose_venue_is_unknown_borrows_from_nobody(duckdb_store: MarketStore) -> None:
    nowhere = THIN.model_copy(update={"venue": None})
    assert lent(duckdb_store, members(), entries(venue=None), nowhere).status == "refused"


def test_no_market_lends_to_itself(duckdb_store: MarketStore) -> None:
    stored = [*members()[:2], replace(members()[2], market_id="thin", token_id="other")]
    assert lent(duckdb_store, stored).status == "refused"


def test_two_tokens_of_a_market_are_one_lender(duckdb_store: MarketStore) -> None:
    both = [*members()[:2], replace(members()[1], token_id="other")]
    known = [*entries("ab"), *entries("b", token_id="other")]
    assert lent(duckdb_store, both, known).status == "refused"
    found = lent(duckdb_store, members(), [*known, *entries("c")])
    assert found.pool_markets == ("a", "b", "c")


def test_a_series_and_its_markets_do_not_lend_to_each_other(duckdb_store: MarketStore) -> None:
    of_series = entries("c", series_id="hourly")
    series = Market(market_id="hourly", token_id="*", venue=VENUE)
    assert lent(duckdb_store, members(), [*entries("ab"), *of_series], series).status == "refused"
    as_one = replace(members()[2], market_id="hourly", token_id="*")
    member = THIN.model_copy(update={"series_id": "hourly"})
    assert lent(duckdb_store, [as_one], [*entries("ab"), member], member).status == "refused"
    # To others the series lends like a market.
    other = THIN.model_copy(update={"market_id": "outside"})
    assert lent(duckdb_store, [], [*entries("ab"), member], other).pool_markets == ("a", "b", "hourly")


def test_who_borrowed_does_not_lend(duckdb_store: MarketStore) -> None:
    borrowed = replace(lent(duckdb_store, members()), market_id="d", flow_sq_per_day=1.0)
    assert lent(duckdb_store, [borrowed]).pool_markets == ("a", "b", "c")


def test_each_day_of_a_range_has_its_own_pool_and_the_store_is_read_once(
    duckdb_store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = []
    for one in members():
        gamma = one.estimates["gamma"]
        for day in range(12):
            halved = replace(gamma, value=(gamma.value or 0) * 2.0**-day)
            stored.append(shifted(replace(one, estimates=one.estimates | {"gamma": halved}), day))
    store_parameters(duckdb_store, stored)
    reads = []
    read = DuckDBResults.read
    monkeypatch.setattr(DuckDBResults, "read", lambda *given: reads.append(given) or read(*given))
    fine = shifted(calibration("thin", 1e-3), 5)
    own = [shifted(calibration(), day) for day in (-3, 3)] + [fine] + [shifted(calibration(), day) for day in (9, 17)]
    pools = VenuePools(duckdb_store, [*entries(), THIN], own)
    found = pools.lend(THIN, own)
    again = pools.lend(THIN, own)
    assert [one.status for one in found] == ["refused", "pooled", "ok", "pooled", "pooled"]
    assert [found[k].value("gamma") for k in (1, 3, 4)] == pytest.approx([0.25e-3 / 2**k for k in (3, 9, 11)])
    assert found[2] is fine
    assert [one.to_row() for one in again] == [one.to_row() for one in found]
    assert len(reads) == 1


def test_who_needs_nothing_costs_no_read(duckdb_store: MarketStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DuckDBResults, "read", lambda *_: pytest.fail("the store was read"))
    own = [calibration("thin", 1e-3), calibration(sigma=None)]
    assert VenuePools(duckdb_store, entries(), own).lend(THIN, own) == own


def test_a_runs_thin_markets_are_lent_to_with_one_read(
    duckdb_store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_parameters(duckdb_store, [shifted(one, day) for one in members() for day in (0, 6)])
    thin = {f"thin-{n}": [shifted(calibration(f"thin-{n}"), day) for day in range(n, 12)] for n in range(6)}
    known = [*entries(), *entries(thin)]
    reads, read = [], DuckDBResults.read
    monkeypatch.setattr(DuckDBResults, "read", lambda *given: reads.append(given[2:4]) or read(*given))
    pools = VenuePools(duckdb_store, known, [one for found in thin.values() for one in found])
    for entry in known[-6:]:
        assert {one.status for one in pools.lend(entry, thin[entry.market_id])} == {"pooled"}
    # From the day of a window that was usable a week before the first end, to the last end.
    assert reads == [(END - timedelta(days=8), END + timedelta(days=11))]


def test_a_window_that_the_pools_do_not_know_is_an_error(duckdb_store: MarketStore) -> None:
    pools = VenuePools(duckdb_store, entries(), [calibration()])
    with pytest.raises(ValidationError, match="market thin, window to 2026-04-01T00:00:00Z: the pools were made with"):
        pools.lend(THIN, [shifted(calibration(), 1)])


def test_what_is_about_to_be_replaced_does_not_lend(duckdb_store: MarketStore) -> None:
    """A market that had a gamma of its own and has none any more: its old row is still there."""
    store_parameters(duckdb_store, members())
    thin = [calibration(), calibration("a")]
    pools = VenuePools(duckdb_store, [*entries(), THIN], thin)
    assert pools.lend(THIN, thin[:1])[0].status == "refused"
    assert VenuePools(duckdb_store, [*entries(), THIN], thin[:1]).lend(THIN, thin[:1])[0].status == "pooled"


def test_rows_of_other_code_do_not_lend(duckdb_store: MarketStore) -> None:
    older = replace(members()[2], code_version="almgren_chriss_parameters/0")
    assert lent(duckdb_store, [*members()[:2], older]).status == "refused"
    assert lent(duckdb_store, [members()[2]]).status == "pooled"


@pytest.mark.parametrize("column", ["gamma", "sigma_window", "n_days", "pool_markets", "window_end"])
def test_rows_without_what_is_needed_are_passed_over(
    duckdb_store: MarketStore, monkeypatch: pytest.MonkeyPatch, column: str
) -> None:
    read = DuckDBResults.read

    def with_an_old_row(*given: Any) -> pd.DataFrame:
        rows = read(*given)
        return rows.assign(**{column: rows[column].where(rows["market_id"] != "d", None)})

    monkeypatch.setattr(DuckDBResults, "read", with_an_old_row)
    stored = [*members(), replace(members()[2], market_id="d")]
    assert lent(duckdb_store, stored).pool_markets == ("a", "b", "c")


def test_a_series_lends_in_place_of_its_markets(duckdb_store: MarketStore) -> None:
    known = [*entries("ab"), *entries("cd", series_id="hourly")]
    assert lent(duckdb_store, [*members(), replace(members()[2], market_id="d")], known).pool_markets == tuple("abcd")
    of_series = replace(members()[2], market_id="hourly", token_id="*")
    assert lent(duckdb_store, [of_series], known).pool_markets == ("a", "b", "hourly")


@pytest.fixture
def thin_desk(own_desk: Desk) -> Desk:
    """The desk with gates that its trades do not pass, and three markets of its venue that can lend."""
    for one in members():
        write_entry(own_desk.store, Market(market_id=one.market_id, token_id="t", venue=own_desk.market.venue))
    store_parameters(own_desk.store, [shifted(one, 4 - 30) for one in members()])
    settings = AnalyticsSettings(calibration=CalibrationSettings(min_trades_required=10**6))
    return replace(own_desk, settings=settings)


def test_a_thin_market_of_the_store_borrows_and_says_so(thin_desk: Desk) -> None:
    as_of = date(2026, 3, 5)
    (own,) = calibrate_windows(thin_desk.store, thin_desk.settings, thin_desk.subject, days=[date(2026, 3, 4)])
    found = calibrate_market(thin_desk.store, thin_desk.settings, thin_desk.subject, as_of=as_of)
    assert (own.status, own.value("gamma"), own.flags) == ("refused", None, ("thin",))
    assert (found.status, found.estimates["gamma"].source, found.pool_markets) == ("pooled", "pooled", ("a", "b", "c"))
    assert found.flags == own.flags
    pool = make_pool("synthetic", members())
    assert pool is not None
    assert own.gamma_own is not None
    assert own.gamma_se is not None
    assert own.flow_sq_per_day is not None
    assert own.flow_sq_error is not None
    assert own.sigma_window is not None
    weights = ((own.gamma_own / own.gamma_se) ** 2, 1 / (pool.sd**2 + own.flow_sq_error**2 / 4))
    prior = pool.mean + log(own.sigma_window / own.flow_sq_per_day**0.5)
    wanted = exp((weights[0] * log(own.gamma_own) + weights[1] * prior) / sum(weights))
    assert found.value("gamma") == pytest.approx(wanted, rel=1e-9)
    assert found.pool_weight == pytest.approx(weights[1] / sum(weights), rel=1e-9)
    assert f"gamma: 3 markets of synthetic lend {found.pool_weight:.0%} of it (a, b, c)" in found.reasons
    for name in ("sigma", "epsilon", "book_slope"):
        assert found.estimates[name] == own.estimates[name]
    # The lenders became usable on the fifth; a window that ends a day before must not know them.
    before = calibrate_market(thin_desk.store, thin_desk.settings, thin_desk.subject, as_of=date(2026, 3, 4))
    assert (before.status, before.value("gamma"), before.pool_markets) == ("refused", None, ())
