"""Where settings come from and where the log goes: stderr alone, in the form and at the level that were asked."""

import json
from pathlib import Path

import pytest

from tests.cli.calling import answer_of, call

TWAP_WITH_RISK = (
    *("analytics", "plan", "--shares", "100", "--side", "buy", "--horizon", "1h", "--slices", "2"),
    *(
        "--sigma",
        "0.03",
        "--gamma",
        "1e-6",
        "--eta",
        "1e-7",
        "--epsilon",
        "0.005",
        "--strategy",
        "twap",
        "--urgency",
        "1",
    ),
    "--json",
)


@pytest.mark.usefixtures("empty")
def test_json_logs_are_one_object_a_line() -> None:
    Path("tributary.yaml").write_text("logging: {format: json}\n")
    result = call(*TWAP_WITH_RISK)
    assert answer_of(result)["status"] == "ok"
    (line,) = [json.loads(line) for line in result.stderr.splitlines()]
    assert set(line) == {"at", "level", "logger", "message"}
    assert (line["level"], line["logger"]) == ("warning", "tributary_pipelines.cli.orders")
    assert line["at"].endswith("Z")


@pytest.mark.usefixtures("empty")
def test_plain_logs_name_level_and_module() -> None:
    result = call(*TWAP_WITH_RISK)
    assert "WARNING tributary_pipelines.cli.orders: strategy twap has no use for --urgency" in result.stderr


@pytest.mark.usefixtures("empty")
def test_progress_is_its_message_alone_and_still_a_log_line_where_lines_are_json() -> None:
    synth = ("synth", "--market", "m", "--days", 1, "--trades-per-hour", 5, "--seed", 1, "--start", "2026-03-01")
    answer_of(call(*synth, "--json"))
    calibrate = ("analytics", "calibrate", "--market", "m", "--as-of", "2026-03-02")
    assert call(*calibrate).stderr == "reading days: 2026-03-01\n"
    assert call(*calibrate, "--log-level", "error").stderr == ""
    Path("tributary.yaml").write_text("logging: {format: json}\n")
    call("synth", "--market", "n", *synth[3:])
    line = json.loads(call("analytics", "calibrate", "--market", "n", "--as-of", "2026-03-02").stderr)
    assert line["message"] == "reading days: 2026-03-01"


@pytest.mark.parametrize("where", ["option before", "option after", "settings"])
@pytest.mark.usefixtures("empty")
def test_the_level_is_an_option_or_a_setting(where: str) -> None:
    Path("tributary.yaml").write_text("logging: {level: error}\n" if where == "settings" else "")
    before = ("--log-level", "error") if where == "option before" else ()
    after = ("--log-level", "error") if where == "option after" else ()
    result = call(*before, *TWAP_WITH_RISK, *after)
    assert answer_of(result)["status"] == "ok"
    assert result.stderr == ""


@pytest.mark.usefixtures("stocked")
def test_the_level_changes_no_answer() -> None:
    calibrate = ("analytics", "calibrate", "--market", "toy", "--json")
    assert answer_of(call(*calibrate, "--log-level", "error")) == answer_of(call(*calibrate, "--debug"))


def test_settings_come_from_the_option_then_the_environment_then_the_folder(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("option", "environment", "tributary"):
        Path(f"{name}.yaml").write_text(f"storage: {{path: {name}.duckdb}}\n")

    def store_in_force(*arguments: str) -> str:
        plain = answer_of(call("store", "init", *arguments, "--json"))
        return Path(plain["store"].removeprefix("duckdb ")).name

    assert store_in_force() == "tributary.duckdb"
    monkeypatch.setenv("TRIBUTARY_CONFIG", str(empty / "environment.yaml"))
    assert store_in_force() == "environment.duckdb"
    assert store_in_force("--config", "option.yaml") == "option.duckdb"
