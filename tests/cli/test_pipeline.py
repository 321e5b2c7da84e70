"""demo, run and ui on a real Dagster instance, made small; and the local server's command where none runs."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.calling import answer_of, call, error_of
from tributary_pipelines.cli import demo, pipeline
from tributary_pipelines.cli.folder import DAGSTER_HOME
from tributary_pipelines.core.settings import Settings

N_DAYS = 5

#: Dagster's own, on handing one resource to another.
pytestmark = pytest.mark.filterwarnings("ignore:InitResourceContext.dagster_run:DeprecationWarning")


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A folder in which a short demo ran, and what it answered."""
    folder = tmp_path_factory.mktemp("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("TRIBUTARY_CONFIG", raising=False)
        patch.setattr(demo, "N_DAYS", N_DAYS)
        patch.chdir(folder)
        yield folder, answer_of(call("demo", "--json"))


@pytest.fixture
def in_demo(shown: tuple[Path, dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("TRIBUTARY_CONFIG", raising=False)
    monkeypatch.setattr(demo, "N_DAYS", N_DAYS)
    monkeypatch.chdir(shown[0])
    return shown[0]


def test_the_demo_shows_truth_against_estimate_and_interval(shown: tuple[Path, dict[str, Any]]) -> None:
    plain = shown[1]
    assert plain["changed"] is True
    names = {choice.market_id for choice in demo.SYNTHETIC}
    rows = {(row["market_id"], row["parameter"]): row for row in plain["estimates"]}
    parameters = ("sigma", "gamma", "epsilon", "book_slope", "resilience_rate")
    assert set(rows) == {(market, name) for market in names for name in parameters}
    assert all(abs(rows[market, "epsilon"]["relative_error"]) < 1e-3 for market in names)
    assert all(abs(rows[market, "book_slope"]["relative_error"]) < 0.25 for market in names)
    known = [row for row in rows.values() if row["estimate"] is not None]
    assert all(row["ci_low"] <= row["estimate"] * (1 + 1e-9) for row in known)
    assert all(row["ci_high"] >= row["estimate"] * (1 - 1e-9) for row in known)
    assert sum(row["holds_truth"] for row in known) > len(known) / 2
    missing = [row for row in rows.values() if row["estimate"] is None]
    assert {(row["source"], row["ci_low"], row["holds_truth"]) for row in missing} == {("refused", None, None)}


def test_one_market_of_the_demo_is_pooled_and_says_from_whom(shown: tuple[Path, dict[str, Any]]) -> None:
    plain = shown[1]
    status = {one["market_id"]: one["status"] for one in plain["calibrations"]}
    assert status == {"demo_liquid": "ok", "demo_thin": "ok", "demo_coarse": "ok", "demo_sparse": "pooled"}
    pooled = next(one for one in plain["calibrations"] if one["status"] == "pooled")
    assert pooled["pool_markets"] == ["demo_coarse", "demo_liquid", "demo_thin"]
    assert 0 < pooled["pool_weight"] <= 1
    assert "200 are needed" in pooled["reasons"][0]
    sources = {row["parameter"]: row["source"] for row in plain["estimates"] if row["market_id"] == "demo_sparse"}
    assert (sources["gamma"], sources["resilience_rate"], sources["sigma"]) == ("pooled", "refused", "own")


def test_the_demo_simulates_one_order_by_twap_and_ac(shown: tuple[Path, dict[str, Any]]) -> None:
    rows = shown[1]["simulations"]
    assert {(row["market_id"], row["strategy"]) for row in rows} == {
        (choice.market_id, strategy) for choice in demo.SYNTHETIC for strategy in ("twap", "ac")
    }
    assert {row["shares"] for row in rows} == {1000, 200}
    assert all(row["filled"] == pytest.approx(row["shares"]) for row in rows)
    assert all(row["shortfall_total"] is not None and row["predicted_cost"] > 0 for row in rows)


def test_the_recording_gives_its_known_answers_and_is_refused(shown: tuple[Path, dict[str, Any]]) -> None:
    recording = shown[1]["recording"]
    assert [(bar["n_trades"], bar["equals_known_answer"]) for bar in recording["bars"]] == [(9738, True), (10166, True)]
    assert recording["calibration"]["status"] == "refused"
    assert recording["calibration"]["reasons"]
    assert recording["order"]["filled"] == 0.5


def test_the_demo_again_changes_nothing_and_says_so(in_demo: Path, shown: tuple[Path, dict[str, Any]]) -> None:
    runs = sorted((in_demo / DAGSTER_HOME / "history" / "runs").iterdir())
    state = (in_demo / ".tributary" / "demo.json").read_bytes()
    result = call("demo")
    assert result.exit_code == 0
    assert "nothing was computed" in result.stderr
    assert "tributary ui" in result.stdout
    assert re.search(
        r"^demo_liquid +buy 1000 +twap +1000 +-?[\d.]+ +-?[\d.]+ +[\d.]+ +[\d.]+ *$", result.stdout, re.MULTILINE
    )
    assert "differences below about one std are noise" in " ".join(result.stdout.split())
    assert re.search(r"= spread \+ temporary \+ permanent 0\.\d+, timing -\d", " ".join(result.stdout.split()))
    in_one_line = " ".join(result.stdout.split())
    assert re.search(
        r"^demo_sparse +gamma +P/share( +[\d.e-]+){4} +[+-][\d.]+% +pooled +(yes|no) *$", result.stdout, re.MULTILINE
    )
    assert re.search(r"^demo_sparse +half_life +s +60 +- +- +- +- +refused +- *$", result.stdout, re.MULTILINE)
    assert re.search(r"^demo_liquid +half_life +s +60( +\d+\.?\d*){3} ", result.stdout, re.MULTILINE)
    assert re.search(r"\d+ of \d+ intervals hold the truth", in_one_line)
    assert "demo_sparse is pooled; " in in_one_line
    assert "calibration refused: " in in_one_line
    assert answer_of(call("demo", "--json")) == {**shown[1], "changed": False}
    assert sorted((in_demo / DAGSTER_HOME / "history" / "runs").iterdir()) == runs
    assert (in_demo / ".tributary" / "demo.json").read_bytes() == state


def test_the_demo_leaves_other_folders_alone(empty: Path) -> None:
    Path("tributary.yaml").write_text("logging: {level: error}\n")
    assert "empty folder" in error_of(call("demo"))
    assert sorted(path.name for path in empty.iterdir()) == ["tributary.yaml"]
    assert "empty folder" in error_of(call("demo", "--config", "tributary.yaml"))


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Settings of a store that is nobody's demo."""
    path = tmp_path / "real.yaml"
    path.write_text("storage: {path: real.duckdb}\n")
    return path


def test_the_demo_never_writes_where_the_environment_points(
    empty: Path, real: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIBUTARY_CONFIG", str(real))
    assert str(real) in error_of(call("demo"))
    assert list(empty.iterdir()) == [real]


@pytest.mark.parametrize("by", ["option", "environment"])
@pytest.mark.usefixtures("in_demo")
def test_the_demo_again_takes_no_other_settings_either(real: Path, by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if by == "environment":
        monkeypatch.setenv("TRIBUTARY_CONFIG", str(real))
    given = ("--config", real) if by == "option" else ()
    assert "other settings" in error_of(call("demo", *given))
    assert not real.with_name("real.duckdb").exists()


@pytest.mark.usefixtures("empty")
def test_the_demo_writes_into_no_store_that_was_there() -> None:
    call("synth", "--market", "own", "--days", 1, "--trades-per-hour", 5, "--seed", 1)
    assert "market.duckdb" in error_of(call("demo"))
    assert not Path(".tributary/demo.json").exists()


@pytest.mark.usefixtures("empty")
def test_the_demo_leaves_a_store_alone_that_its_settings_were_turned_to() -> None:
    Path(".tributary").mkdir()
    Path(".tributary/demo.json").write_text('{"end": "2026-03-01", "truth": {}, "computed": null}')
    Path("tributary.yaml").write_text("storage: {path: real.duckdb}\n")
    assert "no longer the demo's own" in error_of(call("demo"))
    assert not Path("real.duckdb").exists()


def test_run_is_one_run_of_the_days_that_were_asked(in_demo: Path) -> None:
    end = json.loads(Path(".tributary/demo.json").read_text())["end"]
    start = answer_of(call("analytics", "history", "--market", "demo_liquid", "--json"))[-2]["window_end"]
    plain = answer_of(call("run", "--market", "demo_liquid", "--start", start, "--end", end, "--json"))
    assert set(plain) == {
        "instrument",
        "market_id",
        "series_id",
        "start",
        "end",
        "run_id",
        "status",
        "n_materialized",
        "n_refused",
        "failures",
    }
    assert (plain["status"], plain["n_materialized"], plain["failures"]) == ("ok", 5, [])
    log = [path.name for path in (in_demo / DAGSTER_HOME / "history" / "runs").iterdir()]
    assert f"{plain['run_id']}.db" in log


@pytest.mark.usefixtures("empty")
def test_a_market_that_is_no_instrument_runs_too() -> None:
    call("synth", "--market", "Odd/Name", "--days", 1, "--trades-per-hour", 5, "--seed", 1, "--start", "2026-03-01")
    result = call("run", "--market", "Odd/Name", "--start", "2026-03-01", "--end", "2026-03-02", "--json")
    plain = answer_of(result)
    assert (plain["instrument"], plain["market_id"], plain["status"]) == ("odd_name", "Odd/Name", "ok")
    assert plain["n_refused"] > 0
    assert "is no instrument" in result.stderr
    assert re.search(r"^running 1 day: \d of 5, \w+ of odd_name \(\d+ s\)$", result.stderr, re.MULTILINE)


@pytest.mark.integration
@pytest.mark.usefixtures("empty")
def test_months_of_one_market_are_one_command_and_one_run() -> None:
    first, end, n_days = date(2026, 1, 1), date(2026, 4, 1), 90
    Path("tributary.yaml").write_text(f"schedule: {{first_day: {first}}}\nanalytics: {{planning: {{orders: []}}}}\n")
    coarse = ("--set", "snapshot_s=300", "--set", "levels=3", "--set", "p0=5")
    call("synth", "--market", "m", "--days", n_days, "--trades-per-hour", 10, "--seed", 1, "--start", first, *coarse)
    plain = answer_of(call("run", "--market", "m", "--start", first, "--end", end, "--json"))
    assert (plain["status"], plain["n_materialized"], plain["failures"]) == ("ok", 5 * n_days, [])
    logs = {path.stem for path in (Path(DAGSTER_HOME) / "history" / "runs").glob("*.db")} - {"index"}
    assert logs == {plain["run_id"]}
    rows = answer_of(call("analytics", "history", "--market", "m", "--days", n_days, "--json"))
    usable = [first + timedelta(days=n + 1) for n in range(n_days)]
    assert [row["usable_from"] for row in rows] == [f"{day}T00:00:00Z" for day in usable]
    statuses = [row["status"] for row in rows]
    assert statuses[:2] == ["refused", "refused"]
    assert statuses.count("ok") > n_days / 2
    # A window of 30 days of its own each, not one answer for all.
    assert len({row["parameters"]["sigma"]["value"] for row in rows if row["status"] == "ok"}) == statuses.count("ok")


@pytest.mark.usefixtures("empty")
def test_days_without_data_are_said_and_so_is_what_was_refused() -> None:
    call("synth", "--market", "m", "--days", 1, "--trades-per-hour", 5, "--seed", 1, "--start", "2026-03-01")
    shown = call("run", "--market", "m", "--start", "2026-02-02", "--end", "2026-02-04").stdout
    assert "no data on these days: vwap_bars, 2 days: no trades on this day" in shown
    assert "no data on these days: impact_statistics, 2 days: no market data on this day" in shown
    assert re.search(r"^refused: \w*parameters, 2 days: .*0 trades", shown, re.MULTILINE), shown
    assert len(shown.splitlines()) == 6


def test_markets_whose_plain_names_are_alike_have_assets_of_their_own(empty: Path) -> None:
    for market in ("a-b", "a.b", "C"):
        call("synth", "--market", market, "--days", 1, "--trades-per-hour", 1, "--seed", 1, "--start", "2026-03-01")
    Path("instruments.yaml").write_text("instruments: [{name: c, market_id: other}]")
    settings = Settings(folder=empty, instruments=Path("instruments.yaml"))
    found = {market: pipeline._instrument_of(settings, market) for market in ("a-b", "a.b", "C")}
    assert {market: one.market_id for market, one in found.items()} == {"a-b": "a-b", "a.b": "a.b", "C": "C"}
    names = [one.name for one in found.values()]
    assert len({*names, "a_b", "c"}) == 5
    assert all(re.fullmatch(r"(a_b|c)_[0-9a-f]{8}", name) for name in names)


@pytest.mark.usefixtures("in_demo")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (("--market", "demo_liquit"), "demo_liquid"),
        (("--end", "2026-03-01"), "not after"),
        (("--start", "2020-01-01", "--end", "2020-01-02"), "first_day"),
        (("--start", "2999-01-01", "--end", "2999-01-03"), "2999-01-0"),
    ],
    ids=str,
)
def test_run_names_what_is_wrong(changes: tuple[str, ...], said: str) -> None:
    assert said in error_of(
        call("run", "--market", "demo_liquid", "--start", "2026-03-01", "--end", "2026-03-02", *changes)
    )


def test_the_ui_answers_on_loopback_and_ends_with_all_it_started(in_demo: Path) -> None:
    command = [sys.executable, "-m", "tributary_pipelines", "ui"]
    with subprocess.Popen(
        command, cwd=in_demo, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as process:
        started: list[psutil.Process] = []
        try:
            assert process.stdout is not None
            found = re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())
            assert found is not None
            with closing(http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=30)) as connection:
                connection.request("GET", "/server_info")
                assert connection.getresponse().status == 200
            started = psutil.Process(process.pid).children(recursive=True)
            assert len(started) >= 3
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) == 0
            _, alive = psutil.wait_procs(started, timeout=20)
            assert alive == []
        finally:
            if process.poll() is None:
                started += psutil.Process(process.pid).children(recursive=True)
            process.kill()
            for one in (one for one in started if one.is_running()):
                one.kill()


@pytest.mark.usefixtures("empty")
def test_a_taken_port_is_named() -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        started = time.monotonic()
        assert f"port {port}" in error_of(call("ui", "--port", port))
        assert time.monotonic() - started < 10


@pytest.mark.usefixtures("empty")
def test_where_no_local_server_runs_it_is_said() -> None:
    plain = answer_of(call("questdb", "status", "--json"))
    assert (plain["status"], plain["pg_port"]) == ("stopped", None)
    assert answer_of(call("questdb", "stop", "--json"))["was_running"] is False
    assert "tributary questdb start" in call("questdb", "status").stdout
