"""What Dagster loads: a complete graph, described, grouped, owned, checked and fresh; nothing without instruments."""

from datetime import date

import dagster as dg
import pytest

from tributary_pipelines.core.settings import AnalyticsSettings, Instrument, ScheduleSettings, Settings
from tributary_pipelines.definitions import defs as packaged
from tributary_pipelines.defs.component import build_definitions
from tributary_pipelines.defs.stages import OWNERS, STAGES, TABLES, asset_key

INSTRUMENTS = [Instrument(name="alpha", market_id="A"), Instrument(name="hourly", series_id="S")]
SETTINGS = Settings(schedule=ScheduleSettings(at="23:05", first_day=date(2026, 3, 1)))


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(SETTINGS, INSTRUMENTS)


def test_the_packaged_definitions_load_without_any_settings(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("empty"))
    monkeypatch.delenv("TRIBUTARY_CONFIG", raising=False)
    loaded = packaged()
    dg.Definitions.validate_loadable(loaded)
    assert {key.to_user_string() for key in loaded.resolve_all_asset_keys()} == set(TABLES)


def test_the_packaged_definitions_take_the_instruments_that_the_settings_name(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("named")
    (folder / "tributary.yaml").write_text("instruments: here.yaml\n", encoding="utf-8")
    (folder / "here.yaml").write_text("instruments:\n- {name: alpha, market_id: A}\n", encoding="utf-8")
    monkeypatch.setenv("TRIBUTARY_CONFIG", str(folder / "tributary.yaml"))
    keys = packaged().resolve_all_asset_keys()
    assert {asset_key("alpha", stage.name) for stage in STAGES} <= set(keys)


def test_every_definition_loads(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    names = {job.name for job in definitions.get_repository_def().get_all_jobs()}
    assert {"recalibration", "observe_market_data"} <= names


def test_every_asset_is_described_owned_grouped_versioned_fresh_and_daily(definitions: dg.Definitions) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert len(specs) == len(TABLES) + len(STAGES) * len(INSTRUMENTS)
    for instrument in INSTRUMENTS:
        for stage in STAGES:
            spec = specs[asset_key(instrument.name, stage.name)]
            assert len(spec.description or "") > 100
            assert spec.owners == OWNERS
            assert spec.group_name == stage.name
            assert spec.code_version == stage.code_version
            assert "duckdb" in spec.kinds
            assert spec.freshness_policy is not None
            assert spec.partitions_def == dg.DailyPartitionsDefinition("2026-03-01")
    for table in TABLES:
        assert specs[dg.AssetKey(table)].group_name == "market_data"
        assert "duckdb" in specs[dg.AssetKey(table)].kinds


def test_every_asset_runs_a_range_of_days_as_one_run(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    policies = {graph.get(key).backfill_policy for key in graph.materializable_asset_keys}
    assert policies == {dg.BackfillPolicy.single_run()}


def test_every_asset_and_table_has_exactly_one_check(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checked = [check.asset_key for check in graph.asset_check_keys]
    assert sorted(checked) == sorted(graph.get_all_asset_keys())


def test_the_stages_stand_on_each_other_as_designed(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    parents = {
        stage.name: {key.path[-1] for key in graph.get(asset_key("alpha", stage.name)).parent_keys} for stage in STAGES
    }
    assert parents == {
        "vwap_bars": {"trades", "markets"},
        "impact_statistics": {"trades", "orderbook_snapshots", "markets"},
        "almgren_chriss_parameters": {"impact_statistics"},
        "execution_plans": {"almgren_chriss_parameters"},
        "execution_simulations": {"trades", "orderbook_snapshots", "markets", "almgren_chriss_parameters"},
    }


@pytest.mark.parametrize("is_enabled", [True, False])
def test_schedule_and_sensor_run_by_themselves_unless_switched_off(is_enabled: bool) -> None:
    settings = Settings(analytics=AnalyticsSettings(enabled=is_enabled))
    repository = build_definitions(settings, INSTRUMENTS).get_repository_def()
    states = [one.default_status.value for one in (*repository.schedule_defs, *repository.sensor_defs)]
    assert states == (["RUNNING"] if is_enabled else ["STOPPED"]) * 3


def test_two_instances_share_a_code_location() -> None:
    second = [Instrument(name="beta", market_id="B")]
    both = dg.Definitions.merge(
        build_definitions(SETTINGS, INSTRUMENTS), build_definitions(SETTINGS, second, name="more", tables=False)
    )
    dg.Definitions.validate_loadable(both)
    names = {job.name for job in both.get_repository_def().get_all_jobs()}
    assert {"recalibration", "recalibration_more"} <= names
    assert asset_key("beta", "vwap_bars") in both.resolve_all_asset_keys()
