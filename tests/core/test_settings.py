"""Settings: where they come from, every way to get them wrong, and that no secret is ever shown."""

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from tributary_pipelines.core.errors import ConfigurationError
from tributary_pipelines.core.settings import (
    Settings,
    child_environment,
    find_settings_file,
    load_instruments,
    load_settings,
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TRIBUTARY_CONFIG", raising=False)
    return tmp_path


def load(here: Path, text: str, **environment: str) -> Settings:
    path = here / "tributary.yaml"
    path.write_text(text)
    return load_settings(path, environment)


def refusal(here: Path, text: str, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as error:
        load(here, text, **environment)
    message = str(error.value)
    assert str(here / "tributary.yaml") in message
    assert "\n" not in message
    return message


# --- where they come from ---


def test_without_a_file_the_defaults_hold(here: Path) -> None:
    found = load_settings(None, {})
    assert found.folder == here
    assert found.storage.kind == "duckdb"
    assert found.resolve(found.storage.path) == here / ".tributary" / "market.duckdb"
    assert found.analytics.calibration.default_lookback_days == 30
    assert found.analytics.calibration.min_trades_required == 200
    assert found.analytics.calibration.recalibrate_interval_hours == 24
    assert found.analytics.simulation.default_fill_model == "orderbook"
    assert found.analytics.simulation.slippage_multiplier == 1.0
    assert (found.schedule.at, found.schedule.first_day) == ("01:15", date(2024, 1, 1))
    assert found.logging.level == "info"


def test_the_explicit_file_wins_over_the_variable_and_that_over_the_folder(here: Path) -> None:
    for name in ("tributary.yaml", "variable.yaml", "explicit.yaml"):
        (here / name).write_text("{}")
    variable = {"TRIBUTARY_CONFIG": str(here / "variable.yaml")}
    assert find_settings_file(here / "explicit.yaml", variable) == here / "explicit.yaml"
    assert find_settings_file(None, variable) == here / "variable.yaml"
    assert find_settings_file(None, {}) == Path("tributary.yaml")
    assert find_settings_file(None, {"TRIBUTARY_CONFIG": ""}) == Path("tributary.yaml")
    (here / "tributary.yaml").unlink()
    assert find_settings_file(None, {}) is None


def test_the_environment_of_the_process_is_the_default(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "other.yaml").write_text("logging: {level: '${TRIBUTARY_TEST_LEVEL}'}\ninstruments: i.yaml")
    (here / "i.yaml").write_text("instruments: [{name: a, market_id: '${TRIBUTARY_TEST_MARKET}'}]")
    monkeypatch.setenv("TRIBUTARY_CONFIG", str(here / "other.yaml"))
    monkeypatch.setenv("TRIBUTARY_TEST_LEVEL", "debug")
    monkeypatch.setenv("TRIBUTARY_TEST_MARKET", "m")
    assert find_settings_file(None) == here / "other.yaml"
    assert load_settings().logging.level == "debug"
    assert load_instruments(load_settings())[0].market_id == "m"
    assert child_environment(A="1")["TRIBUTARY_TEST_LEVEL"] == "debug"
    assert child_environment(TRIBUTARY_TEST_LEVEL="info")["TRIBUTARY_TEST_LEVEL"] == "info"


def test_a_named_file_that_is_not_there_is_an_error(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"settings file .*gone\.yaml does not exist; write one with"):
        load_settings(here / "gone.yaml", {})
    with pytest.raises(ConfigurationError, match=r"gone\.yaml does not exist"):
        load_settings(None, {"TRIBUTARY_CONFIG": "gone.yaml"})


def test_relative_paths_start_from_the_folder_of_the_file(here: Path) -> None:
    found = load(here, "storage: {path: data/m.duckdb}")
    assert found.resolve(found.storage.path) == here / "data" / "m.duckdb"
    assert found.resolve(Path("/abs")) == Path("/abs")
    assert load(here, "").folder == here


# --- variables ---


def test_variables_are_filled_in_anywhere(here: Path) -> None:
    text = """
    storage: {kind: questdb, host: "${HOST:db}.local", user: "${USER_}", password: "${PW}", pg_port: "${PORT:8813}"}
    collection: {venues: {x: {keys: ["${A}", "${B:}", 3]}}}
    """
    found = load(here, text, USER_="u", PW="p ${A} word", A="a", HOST="h")
    assert (found.storage.host, found.storage.user, found.storage.pg_port) == ("h.local", "u", 8813)
    assert found.storage.password == SecretStr("p ${A} word")
    assert found.collection.venues == {"x": {"keys": ["a", "", 3]}}


def test_every_missing_variable_is_named(here: Path) -> None:
    message = refusal(here, "storage: {host: '${NO_HOST}', user: '${NO_USER}-${NO_HOST}', database: '${HAS}'}", HAS="x")
    assert "needs the environment variables NO_HOST, NO_USER; set them" in message


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30))
def test_a_variable_is_taken_as_it_is(here: Path, value: str) -> None:
    assert load(here, "storage: {database: '${X}'}", X=value).storage.database == value


# --- what is wrong ---


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("storag: {}", "unknown key 'storag'; did you mean 'storage'?"),
        ("storage: {pgport: 1}", "unknown key 'storage.pgport'; did you mean 'pg_port'?"),
        ("analytics: {calibration: {min_trades: 3}}", "did you mean 'min_trades_required'?"),
        ("analytics: {planning: {orders: [{side: buy, shares: 1, horizon: 1h, slice: 1}]}}", "did you mean 'slices'?"),
        ("zzz: 1", "unknown key 'zzz'; known keys: analytics, "),
        ("collection: {spooling: {}}", "unknown key 'collection.spooling'; did you mean 'spool'?"),
        ("folder: /", "unknown key 'folder'"),
        ("1: 2", "Keys should be strings"),
        ("[1]", "must hold a mapping of settings, not a list"),
        ("word", "must hold a mapping of settings, not a str"),
        ("storage: 5", "storage: Input should be a valid dictionary"),
        ("storage: {kind: mysql}", "storage.kind: Input should be 'duckdb' or 'questdb'"),
        ("storage: {pg_port: x}", "storage.pg_port: Input should be a valid integer"),
        ("storage: {pg_port: 0}", "storage.pg_port: Input should be greater than or equal to 1"),
        ("storage: {lock_timeout: soon}", "duration 'soon' is not understood"),
        ("storage: {lock_timeout: -1}", "greater than or equal to 0"),
        ("storage: {lock_timeout: .inf}", "should be a finite number"),
        ("storage: {lock_timeout: [1]}", "storage.lock_timeout: Input should be a valid number"),
        ("storage: {http_user: u}", "http_user and http_password must be given together"),
        ("storage: {kind: questdb}", "kind questdb needs user and password"),
        ("storage: {kind: questdb, user: u}", "kind questdb needs user and password"),
        ("storage: {kind: questdb, password: p}", "kind questdb needs user and password"),
        ("logging: {level: loud}", "logging.level"),
        ("schedule: {at: '25:00'}", "schedule.at"),
        ("schedule: {first_day: 2026-02-30}", "a date, time or tagged value does not exist"),
        ("logging: {level: !!bool x}", "a date, time or tagged value does not exist"),
        ("logging: {level: !!timestamp x}", "a date, time or tagged value does not exist"),
        ("logging: {level: \x07}", "special characters are not allowed"),
        ("schedule: {first_day: someday}", "schedule.first_day"),
        ("analytics: {bar_width: 1 minute}", "analytics.bar_width"),
        ("analytics: {calibration: {min_coverage: 1.5}}", "analytics.calibration.min_coverage"),
        ("analytics: {simulation: {slippage_multiplier: 0}}", "slippage_multiplier"),
        ("analytics: {planning: {strategies: [vwap2]}}", "analytics.planning.strategies.0"),
        ("analytics: {planning: {orders: [{side: buy, shares: 1, horizon: 0s, slices: 1}]}}", "greater than 0"),
        ("analytics: {planning: {orders: [{side: buy, shares: 1, horizon: 13h, slices: 1}]}}", "end of the UTC day"),
        ("analytics: {planning: {orders: [{side: hold, shares: 1, horizon: 1h, slices: 1}]}}", "'buy' or 'sell'"),
        ("a: [1", "cannot be read as YAML"),
        ("a: b: c", "mapping values are not allowed here, line 1 column 5"),
        ("\tx: 1", "cannot start any token, line 1 column 1"),
        ("x: !!python/object/apply:os.system [ls]", "must be in quotes"),
        ("storage: &a {spool: *a}", "nests without end"),
        ("analytics: {bar_width: 7m}", "does not divide a day"),
        ("analytics: {bar_width: 2d}", "does not divide a day"),
        ("analytics: {calibration: {eta_interval: 0s}}", "eta_interval: Input should be greater than 0"),
        ("analytics: {simulation: {staleness_limit: 0s}}", "staleness_limit: Input should be greater than 0"),
        ("analytics: {planning: {strategies: [twap, twap]}}", "given twice: twap"),
        ("[" * 1_000, "nests without end"),
    ],
)
def test_every_mistake_is_one_clear_line(here: Path, text: str, said: str) -> None:
    assert said in refusal(here, text)


def test_bytes_that_are_no_text_are_said(here: Path) -> None:
    (here / "tributary.yaml").write_bytes(b"storage: \xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot be read as YAML"):
        load_settings(here / "tributary.yaml", {})


def test_all_violations_are_listed_at_once(here: Path) -> None:
    text = """
    storage: {kind: duck, pg_port: 0}
    analytics: {calibration: {min_days: 0, min_dais: 2}}
    logging: {level: loud}
    """
    message = refusal(here, text)
    for said in ("storage.kind", "storage.pg_port", "calibration.min_days", "unknown key", "logging.level"):
        assert said in message


# --- secrets ---

SECRET = "hunter2-correct-horse"


@pytest.mark.parametrize(
    "text",
    [
        f'storage:\n  password: "{SECRET}\n  x: [',
        f"storage: {{password: {SECRET}: 3}}",
        f"storage:\n\tpassword: {SECRET}",
        f"storage: {{password: *{SECRET}}}",
        f"storage: {{password: !{SECRET} x}}",
        f"storage: {{password: !{SECRET}!y x}}",
        f"storage: {{password: &{SECRET} a, user: &{SECRET} b, x: [}}",
        f"storage: {{kind: questdb, password: [{SECRET}]}}",
        f"storage: {{kind: questdb, password: !!int {SECRET}}}",
        f"storage: {{kind: questdb, password: {SECRET}}}",
        f"storage: {{kind: questdb, user: u, password: {SECRET}, pg_port: x, passwort: {SECRET}}}",
        f"storage: {{http_password: {SECRET}}}",
        "storage: {host: '${PW}', password: '${PW}', pg_port: '${PW}', nothing: '${PW}'}",
    ],
)
def test_a_secret_never_shows_in_an_error(here: Path, text: str) -> None:
    assert SECRET not in refusal(here, text, PW=SECRET)


def test_a_secret_never_shows_in_a_repr(here: Path) -> None:
    text = "storage: {kind: questdb, user: u, password: '${PW}', http_user: a, http_password: '${PW}'}"
    found = load(here, text, PW=SECRET)
    assert found.storage.password is not None
    assert found.storage.password.get_secret_value() == SECRET
    for shown in (repr(found), str(found), repr(found.storage), found.model_dump_json(), str(found.model_dump())):
        assert SECRET not in shown


# --- instruments ---


def instruments_of(here: Path, text: str) -> tuple[object, ...]:
    (here / "instruments.yaml").write_text(text)
    return load_instruments(load(here, "instruments: instruments.yaml"), {"M": "market"})


def test_instruments_are_loaded_from_the_file_the_settings_name(here: Path) -> None:
    text = """
    instruments:
      - {name: one, market_id: "${M}"}
      - name: series_2
        series_id: s
        token_id: t
        orders: [{side: sell, shares: 5, horizon: 1h, slices: 2, start: 10h}]
    """
    one, two = instruments_of(here, text)
    assert (one.market_id, one.orders) == ("market", None)
    assert (two.series_id, two.token_id, two.orders[0].horizon, two.orders[0].start) == ("s", "t", 3600.0, 36000.0)
    assert load_instruments(Settings()) == ()
    assert instruments_of(here, "") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("instruments: [{name: a, market_id: m}, {name: a, market_id: n}]", "given twice: a"),
        ("instruments: [{name: a}]", "instrument 'a' needs exactly one of market_id and series_id"),
        ("instruments: [{name: a, market_id: m, series_id: s}]", "needs exactly one of market_id and series_id"),
        ("instruments: [{name: A-1, market_id: m}]", "instruments.0.name"),
        ("instruments: [{name: a, market: m}]", "unknown key 'instruments.0.market'; did you mean 'market_id'?"),
        ("instrument: []", "unknown key 'instrument'; did you mean 'instruments'?"),
        ("- name: a", "must hold a mapping of settings, not a list"),
        ("instruments: {name: a}", "instruments: Input should be a valid tuple"),
    ],
)
def test_every_mistake_in_instruments_is_one_clear_line(here: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigurationError) as error:
        instruments_of(here, text)
    assert said in str(error.value)
    assert "instruments.yaml" in str(error.value)


def test_a_missing_instruments_file_is_an_error(here: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"instruments file .*gone\.yaml does not exist"):
        load_instruments(load(here, "instruments: gone.yaml"))
