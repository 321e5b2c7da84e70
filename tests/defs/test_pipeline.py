"""The stages end to end on a small real store: what is stored, what is shown, and whose failure is whose."""

import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest

from tests.defs.conftest import FinishedRun
from tests.defs.small_pipeline import END_TAG, FIRST_DAY, LAST_DAY, N_DAYS, QUIET, START_TAG, load, opened, run
from tributary_pipelines.core.errors import SimulationError, StorageError
from tributary_pipelines.core.frames import TRADES, Frame
from tributary_pipelines.core.result_frames import (
    ALMGREN_CHRISS_PARAMETERS,
    EXECUTION_SIMULATIONS,
    IMPACT_STATISTICS,
    RESULT_FRAMES,
)
from tributary_pipelines.core.units import PARAMETER_UNITS, day_start
from tributary_pipelines.defs import steps
from tributary_pipelines.defs.assets import calibration
from tributary_pipelines.defs.checks import shown_parameters
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import (
    IMPACT_STATISTICS as STATISTICS_STAGE,
)
from tributary_pipelines.defs.stages import (
    PARAMETERS,
    PLANS,
    SIMULATIONS,
    STAGES,
    VWAP_BARS,
    Stage,
    asset_key,
)

DAYS = [FIRST_DAY + timedelta(days=n) for n in range(N_DAYS)]


def stored(file: Path, frame: Frame, market: str | None = None) -> pd.DataFrame:
    with opened(file) as store:
        return store.results.read(frame, day_start(FIRST_DAY), day_start(LAST_DAY) + timedelta(days=1), market)


def metadata_of(instance: dg.DagsterInstance, instrument: str, stage: str, day: date) -> dict[str, Any]:
    wanted = dg.AssetRecordsFilter(asset_key(instrument, stage), asset_partitions=[day.isoformat()])
    record = instance.fetch_materializations(wanted, limit=1).records[0]
    assert record.asset_materialization is not None
    return {key: value.value for key, value in record.asset_materialization.metadata.items()}


def checks_of(result: dg.ExecuteInProcessResult, stage: str) -> dict[str, dg.AssetCheckEvaluation]:
    return {
        one.asset_key.path[0]: one for one in result.get_asset_check_evaluations() if one.asset_key.path[1] == stage
    }


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    data = event.step_failure_data
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def test_every_instrument_stage_and_day_is_materialised(finished: FinishedRun) -> None:
    assert finished.result.success
    made = {(*event.asset_key.path, event.partition) for event in finished.result.get_asset_materialization_events()}
    instruments = ("alpha", "thin", "ghost")
    assert made == {(name, stage.name, day.isoformat()) for name in instruments for stage in STAGES for day in DAYS}


def test_every_result_table_has_rows_of_both_markets_and_every_day(finished: FinishedRun) -> None:
    for frame in RESULT_FRAMES:
        rows = stored(finished.file, frame)
        held = {(market, at.date()) for market, at in zip(rows["market_id"], rows["timestamp"], strict=True)}
        assert held == {(market, day) for market in ("alpha", "thin") for day in DAYS}, frame.name


def test_each_day_shows_its_own_parameters_and_they_equal_the_table(finished: FinishedRun) -> None:
    rows = stored(finished.file, ALMGREN_CHRISS_PARAMETERS, "alpha").set_index("timestamp")
    shown = [metadata_of(finished.instance, "alpha", PARAMETERS.name, day) for day in DAYS[1:]]
    assert len({one["sigma"] for one in shown}) == len(shown)
    for day, one in zip(DAYS[1:], shown, strict=True):
        row = rows.loc[day_start(day)]
        for name in ("sigma", "gamma", "epsilon", "book_slope", "eta"):
            assert one[name] == row[name]
            assert type(one[name]) is float
        assert one["usable_from"] == (day + timedelta(days=1)).isoformat() + "T00:00:00Z"
        assert (one["n_trades"], one["n_snapshots"]) == (row["n_trades"], row["n_snapshots"])
        assert {"coverage", "r2", "window_start", "window_end", "flags", "code_version", "data_fingerprint"} <= set(one)
        assert all(unit in one["parameters"] for unit in PARAMETER_UNITS.values())


def test_only_the_last_day_of_a_range_carries_a_picture(finished: FinishedRun) -> None:
    assert "data:image/png" in metadata_of(finished.instance, "alpha", PARAMETERS.name, DAYS[-1])["impact_curve"]
    assert "impact_curve" not in metadata_of(finished.instance, "alpha", PARAMETERS.name, DAYS[-2])
    assert "data:image/png" in metadata_of(finished.instance, "alpha", PLANS.name, DAYS[-1])["trajectory"]
    assert "trajectory" not in metadata_of(finished.instance, "thin", PLANS.name, DAYS[-1])


def test_a_refusal_is_shown_with_its_reason_without_numbers_and_as_a_failed_warning(finished: FinishedRun) -> None:
    shown = metadata_of(finished.instance, "thin", PARAMETERS.name, DAYS[-1])
    assert shown["status"] == "refused"
    assert "200 are needed" in shown["reasons"]
    assert not set(PARAMETER_UNITS) & set(shown)
    check = checks_of(finished.result, PARAMETERS.name)["thin"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert metadata_of(finished.instance, "thin", PLANS.name, DAYS[-1])["status"] == "refused"


def test_an_instrument_that_nobody_stored_is_refused_and_stops_nobody(finished: FinishedRun) -> None:
    for stage in STAGES:
        shown = metadata_of(finished.instance, "ghost", stage.name, DAYS[-1])
        assert shown["status"] == "refused"
        assert "'ghost' is not in the store" in shown["reasons"]
        assert not checks_of(finished.result, stage.name)["ghost"].passed


def test_sound_stages_pass_their_checks(finished: FinishedRun) -> None:
    for stage in (VWAP_BARS, STATISTICS_STAGE, SIMULATIONS):
        check = checks_of(finished.result, stage.name)["alpha"]
        assert check.passed, check.description


def test_replays_use_what_was_known_before_their_day(finished: FinishedRun) -> None:
    rows = stored(finished.file, EXECUTION_SIMULATIONS, "alpha")
    assert set(rows["strategy"]) == {"twap", "ac"}
    for row in rows.itertuples():
        day = row.timestamp.normalize()
        assert pd.isna(row.usable_from) if day == day_start(FIRST_DAY) else row.usable_from == day


def test_parameters_of_a_day_do_not_reach_that_days_replay(finished: FinishedRun, tmp_path: Path) -> None:
    """A planted leak: wild parameters on the last day change the plans of the day, and no replay of it."""
    shutil.copytree(finished.file.parent, tmp_path, dirs_exist_ok=True)
    file = tmp_path / finished.file.name
    honest = stored(file, EXECUTION_SIMULATIONS)
    with opened(file) as store:
        rows = stored(file, ALMGREN_CHRISS_PARAMETERS, "alpha").tail(1).copy()
        assert rows["timestamp"].iloc[0] == day_start(LAST_DAY)
        for name in ("sigma", "gamma", "epsilon", "book_slope"):
            rows[name] *= 1_000
        key = steps.ResultDay("alpha", "alpha", LAST_DAY)
        store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, [key], rows)
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(file, instance, LAST_DAY, LAST_DAY, stages=[PLANS, SIMULATIONS], only=["alpha"]).success
        plans = metadata_of(instance, "alpha", PLANS.name, LAST_DAY)
    pd.testing.assert_frame_equal(stored(file, EXECUTION_SIMULATIONS), honest)
    before = metadata_of(finished.instance, "alpha", PLANS.name, LAST_DAY)
    (cost,) = [key for key in plans if key.startswith("expected_cost") and key.endswith("ac")]
    assert plans[cost] > 100 * before[cost]


def test_a_rerun_changes_no_row(finished: FinishedRun, tmp_path: Path) -> None:
    shutil.copytree(finished.file.parent, tmp_path, dirs_exist_ok=True)
    file = tmp_path / finished.file.name
    before = {frame.name: stored(file, frame) for frame in RESULT_FRAMES}
    with dg.DagsterInstance.ephemeral() as instance:
        assert run(file, instance, DAYS[2], DAYS[3]).success
    for frame in RESULT_FRAMES:
        pd.testing.assert_frame_equal(stored(file, frame), before[frame.name], obj=frame.name)


def test_equal_inputs_give_equal_data_versions_and_new_ones_another(folder: Path, instance: dg.DagsterInstance) -> None:
    for day in (FIRST_DAY, FIRST_DAY, DAYS[1]):
        assert run(folder, instance, day, day, only=["alpha"]).success
    for stage in STAGES:
        records = instance.fetch_materializations(asset_key("alpha", stage.name), limit=3).records
        tags = [record.asset_materialization.tags or {} for record in records if record.asset_materialization]
        newest, second, first = (one["dagster/data_version"] for one in tags)
        assert first == second != newest, stage.name
        assert {one["dagster/code_version"] for one in tags} == {stage.code_version}


def test_the_history_check_sees_a_table_that_was_changed_behind_dagsters_back(
    finished: FinishedRun, tmp_path: Path
) -> None:
    shutil.copytree(finished.file.parent, tmp_path, dirs_exist_ok=True)
    file = tmp_path / finished.file.name
    assert rerun_check(file, finished.instance, PARAMETERS).severity == dg.AssetCheckSeverity.WARN
    with opened(file) as store:
        rows = stored(file, ALMGREN_CHRISS_PARAMETERS, "alpha").tail(1).copy()
        rows["sigma"] *= 1.0001
        store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, [steps.ResultDay("alpha", "alpha", LAST_DAY)], rows)
    changed = rerun_check(file, finished.instance, PARAMETERS)
    assert changed.severity == dg.AssetCheckSeverity.ERROR
    assert "differ in sigma" in str(changed.description)


def rerun_check(file: Path, instance: dg.DagsterInstance, stage: Stage) -> dg.AssetCheckEvaluation:
    """Run the check of one instrument and stage alone, over all days."""
    settings, instruments = load(file)
    selection = dg.AssetSelection.checks_for_assets(asset_key("alpha", stage.name))
    jobs = dg.Definitions(jobs=[dg.define_asset_job("checking", selection)])
    job = dg.Definitions.merge(build_definitions(settings, instruments, file=str(file)), jobs).resolve_job_def(
        "checking"
    )
    tags = {START_TAG: FIRST_DAY.isoformat(), END_TAG: LAST_DAY.isoformat()}
    (evaluation,) = job.execute_in_process(instance=instance, tags=tags, run_config=QUIET).get_asset_check_evaluations()
    return evaluation


def test_late_trades_are_found_by_the_bars_check(folder: Path, instance: dg.DagsterInstance) -> None:
    assert checks_of(run(folder, instance, stages=[VWAP_BARS], only=["alpha"]), VWAP_BARS.name)["alpha"].passed
    late = {"timestamp": [day_start(DAYS[1])], "market_id": ["alpha"], "token_id": ["alpha"], "trade_id": ["late"]}
    with opened(folder) as store:
        row = pd.DataFrame({**late, "side": ["buy"], "price": [0.5], "size": [1.0]}).reindex(
            columns=TRADES.column_names
        )
        row[["value", "is_buyer_maker"]] = [[0.5, False]]
        assert store.writer.write(TRADES, row) == 1
    check = rerun_check(folder, instance, VWAP_BARS)
    assert check.severity == dg.AssetCheckSeverity.ERROR
    assert check.description == (
        "2026-03-02: the bars do not add up to the tape (late or removed trades); materialise the day again"
    )


def test_one_failing_instrument_fails_the_step_after_the_others_are_done(
    folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = calibration.ensure_statistics

    def broken(store: Any, analytics: Any, subject: Any, *window: date) -> Any:
        if subject.market.market_id == "alpha":
            raise SimulationError("planted, market 'alpha'")
        return honest(store, analytics, subject, *window)

    monkeypatch.setattr(calibration, "ensure_statistics", broken)
    result = run(folder, instance, stages=[STATISTICS_STAGE])
    assert not result.success
    assert "alpha: SimulationError: planted, market 'alpha'" in failure_of(result)
    made = {event.asset_key.path[0] for event in result.get_asset_materialization_events()}
    assert made == {"thin", "ghost"}
    assert set(stored(folder, IMPACT_STATISTICS)["market_id"]) == {"thin"}


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The same number of attempts without the waits between them."""
    monkeypatch.setattr(steps, "RETRY_WAITS_S", (0, 0, 0, 0))
    return None


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize(("n_failures", "succeeds"), [(2, True), (99, False)])
def test_a_failing_store_is_tried_again_and_then_fails_with_one_line(
    folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, n_failures: int, succeeds: bool
) -> None:
    honest, calls = calibration.ensure_statistics, []

    def unreachable(*arguments: Any) -> Any:
        calls.append(1)
        if len(calls) <= n_failures:
            raise StorageError("cannot reach QuestDB at 127.0.0.1:8812; is it running?")
        return honest(*arguments)

    monkeypatch.setattr(calibration, "ensure_statistics", unreachable)
    result = run(folder, instance, stages=[STATISTICS_STAGE])
    assert result.success == succeeds
    if not succeeds:
        assert failure_of(result) == "the store failed 5 times: cannot reach QuestDB at 127.0.0.1:8812; is it running?"


def test_the_history_shows_the_newest_of_several_runs(folder: Path, instance: dg.DagsterInstance) -> None:
    run(folder, instance, stages=[STATISTICS_STAGE, PARAMETERS], only=["alpha"])
    run(folder, instance, LAST_DAY, LAST_DAY, stages=[PARAMETERS], only=["alpha"])
    shown = shown_parameters(instance, asset_key("alpha", PARAMETERS.name), DAYS)
    rows = stored(folder, ALMGREN_CHRISS_PARAMETERS, "alpha").set_index("timestamp")
    assert list(shown) == [day.isoformat() for day in reversed(DAYS)]
    assert shown[LAST_DAY.isoformat()]["sigma"] == rows.loc[day_start(LAST_DAY), "sigma"]
