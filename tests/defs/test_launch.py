"""A range of days as one run on a Dagster home: recorded like any other, with progress and plain failures."""

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from tests.defs.small_pipeline import FIRST_DAY, LAST_DAY, load
from tributary_pipelines.core.errors import CalibrationError, ConfigurationError
from tributary_pipelines.defs import resources
from tributary_pipelines.defs.assets import calibration
from tributary_pipelines.defs.launch import run_range
from tributary_pipelines.defs.stages import PARAMETERS, STAGES, asset_key

END = LAST_DAY + timedelta(days=1)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n", encoding="utf-8")
    return home


def test_one_run_does_all_stages_and_days_and_says_how_far_it_is(folder: Path, home: Path) -> None:
    settings, instruments = load(folder)
    said: list[tuple[int, int, str]] = []
    chosen = [one for one in instruments if one.name != "ghost"]
    found = run_range(
        settings, chosen, FIRST_DAY, END, home=home, settings_file=folder, progress=lambda *heard: said.append(heard)
    )
    assert (found.is_success, found.failures, found.n_materialized) == (True, [], 2 * len(STAGES) * 5)
    assert found.n_refused == 5 + 5 + 1 + 1
    assert [done for done, _, _ in said] == list(range(1, 11))
    assert {total for _, total, _ in said} == {10}
    assert said[-1][2] in {"execution_simulations of alpha", "execution_simulations of thin"}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (run,) = instance.get_runs()
        assert (run.run_id, run.status) == (found.run_id, dg.DagsterRunStatus.SUCCESS)
        records = instance.fetch_materializations(asset_key("alpha", PARAMETERS.name), limit=10).records
        assert {record.partition_key for record in records} == {
            (FIRST_DAY + timedelta(days=n)).isoformat() for n in range(5)
        }


def test_a_failure_is_told_in_a_line(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise CalibrationError("planted")

    monkeypatch.setattr(calibration, "ensure_statistics", broken)
    settings, instruments = load(folder)
    found = run_range(settings, instruments[:1], FIRST_DAY, END, home=home, settings_file=folder)
    assert not found.is_success
    (line,) = found.failures
    assert line.startswith(
        "impact_statistics: 1 instruments failed, the others are materialised. alpha: CalibrationError"
    )


def test_a_run_that_cannot_start_says_why(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unopened(_: Any) -> Any:
        raise ConfigurationError("storage.kind is questdb, and the package 'questdb' is not installed")

    monkeypatch.setattr(resources, "open_store", unopened)
    settings, instruments = load(folder)
    found = run_range(settings, instruments[:1], FIRST_DAY, END, home=home, settings_file=folder)
    assert not found.is_success
    (line,) = found.failures
    assert "the package 'questdb' is not installed" in line


@pytest.mark.parametrize(
    ("start", "end", "n", "said"),
    [
        (FIRST_DAY, FIRST_DAY, 1, "are none"),
        (FIRST_DAY - timedelta(days=1), END, 1, "before the first partition 2026-03-01"),
        (FIRST_DAY, END, 0, "no instrument"),
        (FIRST_DAY, date(2199, 1, 1), 1, "is not over yet"),
    ],
)
def test_days_that_cannot_be_run_are_named(folder: Path, home: Path, start: date, end: date, n: int, said: str) -> None:
    settings, instruments = load(folder)
    with pytest.raises(ConfigurationError, match=said):
        run_range(settings, instruments[:n], start, end, home=home, settings_file=folder)
