"""A series of short-lived markets in a store: one row a day for all of them, and parameters each of them stands on."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copytree

import pandas as pd
import pytest

from tests.analytics.markets import START, START_US, tape_of
from tests.flows.conftest import write_entry, write_market
from tributary_pipelines.analytics.calibration.series import SERIES_TOKEN
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.core.errors import DataError
from tributary_pipelines.core.frames import TRADES
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import PlanRequest, SimulationRequest
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, IMPACT_STATISTICS
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, Settings, StandardOrder
from tributary_pipelines.core.units import US_PER_S
from tributary_pipelines.flows.calibration import (
    calibrate_market,
    calibrate_windows,
    parameter_history,
    parameters_as_of,
    parameters_of_day,
    store_parameters,
)
from tributary_pipelines.flows.market_data import find_market
from tributary_pipelines.flows.planning import plan, plan_standard_orders
from tributary_pipelines.flows.simulation import simulate
from tributary_pipelines.flows.statistics import ensure_statistics, stored_statistics
from tributary_pipelines.flows.subjects import default_window_end, find_subject, series_subject
from tributary_pipelines.storage.base import MarketStore, ResultDay
from tributary_pipelines.storage.open import open_store
from tributary_pipelines.storage.rows import trade_rows

N_DAYS, LIFE_S = 4, 6 * 3_600
LIFE = timedelta(seconds=LIFE_S)
FIRST = START.date()
SETTINGS = AnalyticsSettings()
LATER = datetime(2026, 6, 1, tzinfo=UTC)
ORDER = {"side": "buy", "shares": 500, "horizon_s": 3_600, "n_slices": 6}


def market(n: int, **changes: object) -> Market:
    """The n-th market of the series: open for six hours, then resolved."""
    ends = START + (n + 1) * LIFE
    entry = {"market_id": f"six-{n:02d}", "token_id": f"up-{n:02d}", "series_id": "six", "venue": "venue"}
    return Market(**entry | {"tick_size": 0.001, "fee_model": "none", "resolves_at": ends} | changes)


@pytest.fixture(scope="module")
def series_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with sixteen markets of six hours each."""
    folder = tmp_path_factory.mktemp("series")
    tape = tape_of(5, N_DAYS, snapshot_s=30, levels=20, trades_per_hour=60, r2=0.5)
    with open_store(Settings(folder=folder)) as store:
        store.writer.create_tables()
        for n in range(N_DAYS * 4):
            window = [START_US + k * LIFE_S * US_PER_S for k in (n, n + 1)]
            write_market(store, market(n), tape.trades.between(*window), tape.books.between(*window))
        calibrate_market(store, SETTINGS, find_subject(store.reader, "six"), as_of=FIRST + timedelta(days=3))
    return folder


@pytest.fixture
def store(series_folder: Path, tmp_path: Path) -> MarketStore:
    """The series, its parameters known from the fourth day on; for one test alone."""
    copytree(series_folder, tmp_path, dirs_exist_ok=True)
    with open_store(Settings(folder=tmp_path)) as opened:
        yield opened


def test_a_series_is_one_subject_with_a_row_a_day(store: MarketStore) -> None:
    subject = find_subject(store.reader, "six")
    assert [one.market_id for one in subject.members] == [f"six-{n:02d}" for n in range(16)]
    assert (subject.market.market_id, subject.market.token_id, subject.market.resolves_at) == ("six", "*", None)
    days = stored_statistics(store, subject.market, FIRST, FIRST + timedelta(days=N_DAYS))
    assert [day.day for day in days] == [FIRST + timedelta(days=n) for n in range(3)]
    rows = store.results.read(IMPACT_STATISTICS, START, START + timedelta(days=N_DAYS))
    assert set(zip(rows["market_id"], rows["token_id"], strict=True)) == {("six", SERIES_TOKEN)}
    window = (START, START + timedelta(days=1))
    assert days[0].n_trades == sum(len(store.reader.trades(m.market_id, m.token_id, *window)) for m in subject.members)


def test_markets_too_short_for_a_window_of_their_own_are_calibrated_as_one(store: MarketStore) -> None:
    subject = find_subject(store.reader, "six")
    as_of = default_window_end(store.reader, subject, now=LATER)
    assert as_of == FIRST + timedelta(days=N_DAYS)
    found = calibrate_market(store, SETTINGS, subject, as_of=as_of)
    assert (found.status, found.market_id, found.token_id) == ("ok", "six", SERIES_TOKEN)
    assert (found.n_days, found.coverage) == (N_DAYS, pytest.approx(1, rel=1e-9))
    # By the law of the tape (science.md 8.1); its bands of 7 days, a little wider.
    gamma = 0.03 * (0.5 / (60 * 24 * 27_182.818)) ** 0.5
    law = {"sigma": (0.03, 0.2), "gamma": (gamma, 0.25), "book_slope": (gamma / 0.45, 0.2), "epsilon": (0.0055, 0.001)}
    for name, (truth, band) in law.items():
        assert found.value(name) == pytest.approx(truth, rel=band), name
    assert [one.usable_from.date() for one in parameter_history(store, subject.market, days=30)] == [
        FIRST + timedelta(days=3),
        as_of,
    ]
    alone = calibrate_market(store, SETTINGS, find_subject(store.reader, "six-03"), as_of=as_of)
    assert alone.status == "refused"


def test_a_market_of_the_series_plans_and_simulates_with_the_series_parameters(store: MarketStore) -> None:
    last = find_market(store.reader, "six-15")
    common = parameters_of_day(store, last, FIRST + timedelta(days=2))
    assert common is not None
    assert (common.market_id, common.status) == ("six", "ok")
    planned = plan(store, PlanRequest(**ORDER, market="six-15", as_of=FIRST + timedelta(days=3)), now=LATER)
    assert planned.status == "ok"
    replayed = simulate(
        store,
        SETTINGS,
        SimulationRequest(market="six-15", start=START + 15 * LIFE + timedelta(hours=1), strategy="ac", **ORDER),
    )
    assert (replayed["status"], replayed["filled"]) == ("ok", 500)
    assert replayed["predicted"]["cost"] == pytest.approx(planned.expected_cost, rel=0.5)
    assert "no_own_impact" not in replayed["flags"]
    assert "parameters_of_series" in planned.flags
    assert "parameters_of_series" in replayed["flags"]
    assert "gamma_pooled" not in planned.flags


def test_a_plan_of_the_series_refused_parameters_names_the_series(store: MarketStore) -> None:
    common = parameters_of_day(store, find_market(store.reader, "six-15"), FIRST + timedelta(days=2))
    assert common is not None
    store_parameters(store, [replace(common, status="refused")])
    planned = plan(store, PlanRequest(**ORDER, market="six-15", as_of=FIRST + timedelta(days=3)), now=LATER)
    assert planned.status == "refused"
    assert planned.reasons[0] == "the parameters of six that are usable from 2026-03-04 are refused"
    assert "parameters_of_series" not in planned.flags


def test_why_there_are_no_parameters_looks_at_the_series_and_advises_it(store: MarketStore) -> None:
    def said() -> str:
        request = PlanRequest(**ORDER, market="six-15", as_of=FIRST + timedelta(days=2))
        return plan(store, request, now=LATER).reasons[0]

    assert said() == (
        "parameters of six are usable from 2026-03-04, after as of 2026-03-03; "
        "run 'tributary analytics calibrate --market six --as-of 2026-03-03', or choose a later time"
    )
    common = parameters_of_day(store, find_market(store.reader, "six-15"), FIRST + timedelta(days=2))
    assert common is not None
    # The first that become usable are named.
    own = replace(common, market_id="six-15", token_id="up-15", window_end=common.window_end + timedelta(days=1))
    store_parameters(store, [own])
    assert said().startswith("parameters of six are usable from 2026-03-04")
    nothing = pd.DataFrame(columns=list(ALMGREN_CHRISS_PARAMETERS.column_names))
    store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, [ResultDay("six", "*", common.last_day)], nothing)
    assert said().startswith("parameters of six-15 are usable from 2026-03-05")
    store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, [ResultDay("six-15", "up-15", own.last_day)], nothing)
    assert said() == (
        "no parameters are stored for six-15 or its series six; run 'tributary analytics calibrate --market six'"
    )


def test_the_series_parameters_are_not_known_before_their_window_ends(store: MarketStore) -> None:
    last = find_market(store.reader, "six-12")
    known_at = START + timedelta(days=3)
    assert parameters_as_of(store, last, known_at - timedelta(microseconds=1)) is None
    assert parameters_as_of(store, last, known_at) is not None


def test_a_market_stands_on_its_own_parameters_where_its_own_trades_tell_gamma(store: MarketStore) -> None:
    last, day = find_market(store.reader, "six-15"), FIRST + timedelta(days=2)
    common = parameters_of_day(store, last, day)
    assert common is not None
    own = replace(common, market_id=last.market_id, token_id=last.token_id, n_trades=7)
    for status, of_series, wanted in (
        ("refused", "ok", "six"),
        ("pooled", "ok", "six"),
        ("ok", "ok", "six-15"),
        ("pooled", "pooled", "six"),
        ("pooled", "refused", "six-15"),
        ("refused", "refused", "six"),
    ):
        store_parameters(store, [replace(own, status=status)])
        store_parameters(store, [replace(common, status=of_series)])
        found = [parameters_of_day(store, last, day), parameters_as_of(store, last, common.usable_from)]
        assert [one.market_id for one in found if one] == [wanted, wanted]
    other = market(0, market_id="lonely", series_id="other")
    assert parameters_of_day(store, other, day) is None
    store_parameters(store, [replace(own, market_id="lonely", token_id=other.token_id, status="refused")])
    found = parameters_of_day(store, other, day)
    assert found is not None
    assert (found.market_id, found.status) == ("lonely", "refused")


def test_standard_orders_of_each_market_are_planned_from_the_series(store: MarketStore) -> None:
    orders = (StandardOrder(side="sell", shares=300, horizon=3_600, slices=4),)
    instrument = Instrument(name="six", series_id="six", orders=orders)
    rows = plan_standard_orders(store, SETTINGS, instrument, find_market(store.reader, "six-11"), date(2026, 3, 3))
    assert set(rows["status"]) == {"ok"}
    assert set(rows["market_id"]) == {"six-11"}


def days_read(store: MarketStore, end: date = FIRST + timedelta(days=N_DAYS)) -> list[date]:
    read: list[date] = []
    ensure_statistics(store, SETTINGS, find_subject(store.reader, "six"), FIRST, end, progress=read.append)
    return read


def test_a_late_trade_of_one_market_makes_the_day_of_the_series_be_read_again(store: MarketStore) -> None:
    assert days_read(store) == [FIRST + timedelta(days=3)]
    assert days_read(store) == []
    member = market(5)
    late = store.reader.trades(member.market_id, member.token_id, START, LATER)
    late = replace(late, **{name: getattr(late, name)[:1] for name in ("times", "prices", "sizes", "signs")})
    store.writer.write(TRADES, trade_rows(member, late, id_prefix="late-"))
    assert days_read(store) == [FIRST + timedelta(days=1)]


def test_a_member_whose_properties_were_entered_later_still_counts(store: MarketStore) -> None:
    """``valid_from`` says since when a tick holds, not since when there are trades."""
    days_read(store)
    write_entry(store, market(5, valid_from=datetime(2026, 5, 1, tzinfo=UTC)), stored_at="2026-05-01")
    assert days_read(store) == []
    write_entry(store, market(5, tick_size=0.002), stored_at="2026-05-02")
    assert days_read(store) == [FIRST + timedelta(days=1)]


def test_only_the_days_of_a_member_that_changed_are_made_anew(
    store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    days_read(store)
    read, honest = set(), type(store.reader).trades
    monkeypatch.setattr(type(store.reader), "trades", lambda *given: read.add(given[3].date()) or honest(*given))

    def calibrated() -> AlmgrenChrissParameters:
        read.clear()
        subject = find_subject(store.reader, "six")
        return calibrate_windows(store, SETTINGS, subject, days=[FIRST + timedelta(days=N_DAYS - 1)])[0]

    before = calibrated()
    assert read == set()
    write_entry(store, market(5, tick_size=0.002), stored_at="2026-05-02")
    after = calibrated()
    assert read == {FIRST + timedelta(days=1)}
    assert after.data_fingerprint != before.data_fingerprint
    # The next market of the series has another tick, and was not there on any of these days.
    write_entry(store, market(16, tick_size=0.01), stored_at="2026-05-03")
    again = calibrated()
    assert read == set()
    assert again.n_trades == after.n_trades


def test_a_range_of_days_counts_what_each_day_alone_does(store: MarketStore) -> None:
    """Trades long after a member resolved belong to no day, however the days are asked for."""
    gone = market(0, resolves_at=START - timedelta(days=1, seconds=1))
    write_entry(store, gone, stored_at="2026-05-01")
    write_entry(store, market(4, resolves_at=START + timedelta(hours=1)), stored_at="2026-05-01")
    late = store.reader.trades("six-15", "up-15", START, LATER)
    store.writer.write(TRADES, trade_rows(market(4), late, id_prefix="late-"))
    subject, end = find_subject(store.reader, "six"), FIRST + timedelta(days=N_DAYS)
    days = [FIRST + timedelta(days=n) for n in range(N_DAYS)]
    together = ensure_statistics(store, SETTINGS, subject, FIRST, end)
    one_by_one = [ensure_statistics(store, SETTINGS, subject, day, day + timedelta(days=1))[0] for day in days]
    assert [one.data_fingerprint for one in together] == [one.data_fingerprint for one in one_by_one]
    assert together[-1].n_trades == len(late) + sum(
        len(store.reader.trades(f"six-{n}", f"up-{n}", START, LATER)) for n in (12, 13, 14)
    )


def test_members_that_resolved_before_the_days_are_not_asked(
    store: MarketStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = type(store.reader)
    honest, asked = reader.fingerprints, []
    monkeypatch.setattr(reader, "fingerprints", lambda *given: asked.append(given[1]) or honest(*given))
    day = FIRST + timedelta(days=3)
    found = ensure_statistics(store, SETTINGS, find_subject(store.reader, "six"), day, day + timedelta(days=1))
    # A day of grace after the resolution.
    assert asked == [f"six-{n:02d}" for n in range(7, 16)]
    assert found[0].n_snapshots == 2_880


def test_a_single_market_is_asked_even_when_it_should_have_resolved(store: MarketStore) -> None:
    write_entry(store, market(15, resolves_at=datetime(2026, 1, 1, tzinfo=UTC)), stored_at="2026-05-01")
    subject, day = find_subject(store.reader, "six-15"), FIRST + timedelta(days=3)
    assert [one.day for one in ensure_statistics(store, SETTINGS, subject, FIRST, day + timedelta(days=1))] == [day]


def test_a_name_means_a_market_before_a_series(store: MarketStore) -> None:
    write_entry(store, Market(market_id="six", token_id="t", series_id="six"), stored_at="2026-05-01")
    subject = find_subject(store.reader, "six")
    assert (subject.market.token_id, len(subject.members)) == ("t", 1)


def test_what_cannot_be_a_subject_says_why(store: MarketStore) -> None:
    with pytest.raises(DataError, match="'seven' is not in the store"):
        find_subject(store.reader, "seven")
    with pytest.raises(DataError, match="series of 16 markets; name one of them"):
        find_subject(store.reader, "six", "up-01")
    with pytest.raises(DataError, match="no market of series 'seven' is in the store; import markets"):
        series_subject("seven", store.reader.markets())
    write_entry(store, market(0, market_id="a", series_id="empty"))
    write_entry(store, market(0, market_id="b", series_id="empty"))
    with pytest.raises(DataError, match="series 'empty' has no complete UTC day of data yet"):
        default_window_end(store.reader, find_subject(store.reader, "empty"), now=LATER)


def test_only_the_first_token_of_each_market_is_a_member() -> None:
    tokens = [market(0), market(0, token_id="down"), market(1)]
    assert series_subject("six", tokens).members == (market(0), market(1))
