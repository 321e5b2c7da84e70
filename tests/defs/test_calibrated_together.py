"""Instruments that are calibrated with others: a series as one asset, and a thin market that borrows from its venue."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pandas as pd
import pytest

from tests.defs.conftest import FinishedRun
from tests.defs.small_pipeline import FIRST_DAY, opened, run, write_settings
from tests.flows.conftest import write_market
from tributary_pipelines.analytics.optimization.calibrated import AlmgrenChrissParameters
from tributary_pipelines.analytics.simulation.synthetic_market import SyntheticMarket, generate_tape
from tributary_pipelines.core.models import Market
from tributary_pipelines.core.requests import SyntheticRequest
from tributary_pipelines.core.result_frames import (
    ALMGREN_CHRISS_PARAMETERS,
    EXECUTION_PLANS,
    EXECUTION_SIMULATIONS,
    IMPACT_STATISTICS,
    Frame,
)
from tributary_pipelines.core.units import PARAMETER_UNITS, US_PER_S, day_start, to_us
from tributary_pipelines.defs import steps
from tributary_pipelines.defs.assets import calibration
from tributary_pipelines.defs.stages import IMPACT_STATISTICS as STATISTICS_STAGE
from tributary_pipelines.defs.stages import PARAMETERS, PLANS, asset_key
from tributary_pipelines.flows.market_data import synthesize
from tributary_pipelines.storage.base import MarketStore, ResultDay

N_DAYS = 3
DAYS = [FIRST_DAY + timedelta(days=n) for n in range(N_DAYS)]
LENDERS = ("one", "three", "two")
LIFE_S = 12 * 3_600
CALIBRATION = [STATISTICS_STAGE, PARAMETERS]


@pytest.fixture(scope="module", autouse=True)
def without_pictures() -> Iterator[None]:
    """Pictures take longer than all the rest, and nobody looks at them here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(steps, "_MOST_WITH_PICTURES", 0)
        yield


def write_instruments(file: Path, names: Sequence[str]) -> None:
    """Make these the instruments, in this order; ``halves`` is the series."""
    entries = [{"name": name, "series_id" if name == "halves" else "market_id": name} for name in names]
    (file.parent / "instruments.yaml").write_text(json.dumps({"instruments": entries}), encoding="utf-8")


def write_series(store: MarketStore) -> None:
    """Write markets that live half a day each."""
    spec = SyntheticMarket(snapshot_s=60, trades_per_hour=40, r2=0.5)
    tape = generate_tape(spec, start=day_start(FIRST_DAY), n_days=N_DAYS, rng=np.random.default_rng(3))
    for n in range(2 * N_DAYS):
        start = to_us(day_start(FIRST_DAY)) + n * LIFE_S * US_PER_S
        market = Market(
            market_id=f"half-{n}",
            token_id="up",
            series_id="halves",
            venue="re-issued",
            tick_size=0.001,
            fee_model="none",
        )
        window = (start, start + LIFE_S * US_PER_S)
        write_market(store, market, tape.trades.between(*window), tape.books.between(*window))


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Settings of a store with three markets that can lend, one that must borrow, and a series."""
    file = write_settings(tmp_path_factory.mktemp("together"))
    with opened(file) as store:
        for seed, name in enumerate((*LENDERS, "thin")):
            request = SyntheticRequest(
                market_id=name,
                n_days=N_DAYS,
                trades_per_hour=2 if name == "thin" else 40,
                seed=seed,
                start=FIRST_DAY,
                options={"snapshot_s": 60, "r2": 0.5, "levels": 12},
            )
            synthesize(store, request)
        write_series(store)
    return file


def folder_with(raw: Path, folder: Path, names: Sequence[str]) -> Path:
    """A copy of the store with these instruments."""
    shutil.copytree(raw.parent, folder, dirs_exist_ok=True)
    write_instruments(folder / raw.name, names)
    return folder / raw.name


def stored(file: Path, frame: Frame, market: str | None = None) -> pd.DataFrame:
    with opened(file) as store:
        return store.results.read(frame, day_start(FIRST_DAY), day_start(DAYS[-1]) + timedelta(days=1), market)


def shown(instance: dg.DagsterInstance, name: str, stage: str, day: date) -> dict[str, Any]:
    wanted = dg.AssetRecordsFilter(asset_key(name, stage), asset_partitions=[day.isoformat()])
    event = instance.fetch_materializations(wanted, limit=1).records[0].asset_materialization
    assert event is not None
    return {key: value.value for key, value in event.metadata.items()}


@pytest.fixture(scope="module")
def series(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedRun]:
    """All stages of the series, run once over all days."""
    file = folder_with(raw, tmp_path_factory.mktemp("series"), ["halves"])
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield FinishedRun(file, ephemeral, run(file, ephemeral, DAYS[0], DAYS[-1]))


def test_a_series_is_one_asset_with_a_row_and_numbers_a_day(series: FinishedRun) -> None:
    file, instance, result = series.file, series.instance, series.result
    assert result.success
    for frame in (IMPACT_STATISTICS, ALMGREN_CHRISS_PARAMETERS):
        rows = stored(file, frame)
        held = list(zip(rows["market_id"], rows["token_id"], rows["timestamp"].dt.date, strict=True))
        assert held == [("halves", "*", day) for day in DAYS], frame.name
    statistics = shown(instance, "halves", STATISTICS_STAGE.name, DAYS[1])
    assert (statistics["status"], statistics["market_id"], statistics["n_snapshots"]) == ("ok", "halves", 1_440)
    row = stored(file, ALMGREN_CHRISS_PARAMETERS).iloc[-1]
    parameters = shown(instance, "halves", PARAMETERS.name, DAYS[-1])
    assert (parameters["status"], parameters["token_id"]) == ("ok", "*")
    for name in PARAMETER_UNITS:
        assert type(parameters[name]) is float
        assert parameters[name] == row[name]
        assert parameters[f"{name}_ci_low"] < parameters[name] < parameters[f"{name}_ci_high"]
    assert not {"markets", "n_markets"} & {*statistics, *parameters}
    assert shown(instance, "halves", PARAMETERS.name, DAYS[-2])["sigma"] != parameters["sigma"]
    checks = {one.asset_key.path[1]: one for one in result.get_asset_check_evaluations()}
    assert checks[STATISTICS_STAGE.name].passed, checks[STATISTICS_STAGE.name].description
    # Half of the window's days are too few at its beginning: a warning, no error.
    assert checks[PARAMETERS.name].severity == dg.AssetCheckSeverity.WARN


def test_the_markets_of_a_series_are_planned_and_replayed_one_by_one(series: FinishedRun) -> None:
    plans, replays = (stored(series.file, frame) for frame in (EXECUTION_PLANS, EXECUTION_SIMULATIONS))
    last = plans[plans["timestamp"] == day_start(DAYS[-1])]
    assert set(last["market_id"]) == {f"half-{n}" for n in range(2 * N_DAYS)}
    assert set(last["status"]) == {"ok"}
    # The standard order begins at noon: the second half of the day.
    alive = replays[(replays["market_id"] == f"half-{2 * N_DAYS - 1}") & (replays["timestamp"] >= day_start(DAYS[-1]))]
    assert set(alive["status"]) == {"ok"}
    assert set(alive["usable_from"]) == {day_start(DAYS[-1])}
    assert isinstance(shown(series.instance, "halves", PLANS.name, DAYS[-1])["markets"], str)


def calibrated(file: Path, instance: dg.DagsterInstance, days: Sequence[tuple[date, date]]) -> pd.DataFrame:
    """The rows of the parameters after runs over these days."""
    for first, last in days:
        assert run(file, instance, first, last, stages=CALIBRATION).success
    return stored(file, ALMGREN_CHRISS_PARAMETERS).sort_values(["market_id", "timestamp"], ignore_index=True)


@dataclass(frozen=True, slots=True)
class Borrowed:
    """A store after one run with the thin market first, its parameters, and what is shown of the thin one's last."""

    file: Path
    rows: pd.DataFrame
    shown: dict[str, Any]


@pytest.fixture(scope="module")
def borrowed(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Borrowed:
    file = folder_with(raw, tmp_path_factory.mktemp("borrowed"), ["thin", *LENDERS])
    with dg.DagsterInstance.ephemeral() as instance:
        rows = calibrated(file, instance, [(DAYS[0], DAYS[-1])])
        return Borrowed(file, rows, shown(instance, "thin", PARAMETERS.name, DAYS[-1]))


def test_a_thin_market_borrows_from_its_venue_and_shows_it(borrowed: Borrowed) -> None:
    rows, parameters = borrowed.rows, borrowed.shown
    thin = rows[rows["market_id"] == "thin"].reset_index(drop=True)
    # A day alone is too short for anyone, so that there is nobody to borrow from.
    assert thin["status"].tolist() == ["refused", *["pooled"] * (N_DAYS - 1)]
    assert set(rows[rows["market_id"] != "thin"].groupby("market_id")["status"].last()) == {"ok"}
    assert parameters["status"] == "pooled"
    assert parameters["pool_markets"] == "; ".join(LENDERS)
    assert 0 < parameters["pool_weight"] <= 1
    assert parameters["gamma"] == thin["gamma"].iloc[-1] > 0
    assert "3 markets of synthetic lend" in parameters["reasons"]
    assert "thin" in parameters["flags"].split("; ")


@pytest.mark.parametrize(
    ("names", "days"),
    [
        (["two", "one", "thin", "three"], [(DAYS[0], DAYS[-1])]),
        (
            ["one", "two", "three", "thin"],
            [(DAYS[0], DAYS[0]), (DAYS[0], DAYS[1]), (DAYS[2], DAYS[2])],
        ),
    ],
    ids=["another order", "day after day"],
)
def test_neither_the_order_of_instruments_nor_that_of_days_changes_a_row(
    raw: Path,
    tmp_path: Path,
    instance: dg.DagsterInstance,
    borrowed: Borrowed,
    names: list[str],
    days: list[tuple[date, date]],
) -> None:
    """A run of a day knows no later day: equal rows mean that a range of days does not look ahead either."""
    rows = calibrated(folder_with(raw, tmp_path, names), instance, days)
    pd.testing.assert_frame_equal(rows, borrowed.rows)


def test_every_window_is_stored_once_and_those_that_borrow_after_all_that_lend(
    borrowed: Borrowed, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder_with(borrowed.file, tmp_path, ["thin", *LENDERS])
    honest, written = calibration.store_parameters, []

    def noted(store: MarketStore, found: Sequence[AlmgrenChrissParameters]) -> None:
        written.extend((one.market_id, one.last_day, one.status) for one in found)
        honest(store, found)

    monkeypatch.setattr(calibration, "store_parameters", noted)
    assert run(file, instance, DAYS[0], DAYS[-1], stages=[PARAMETERS]).success
    assert sorted(window[:2] for window in written) == [
        (name, day) for name in sorted((*LENDERS, "thin")) for day in DAYS
    ]
    assert written[-2:] == [("thin", day, "pooled") for day in DAYS[1:]]
    pd.testing.assert_frame_equal(
        stored(file, ALMGREN_CHRISS_PARAMETERS).sort_values(["market_id", "timestamp"], ignore_index=True),
        borrowed.rows,
    )


def test_a_run_that_dies_between_its_passes_leaves_borrowers_out_and_is_made_good_by_the_next(
    raw: Path, tmp_path: Path, instance: dg.DagsterInstance, borrowed: Borrowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder_with(raw, tmp_path, ["thin", *LENDERS])

    def dying(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(calibration, "VenuePools", dying)
        assert not run(file, instance, DAYS[0], DAYS[-1], stages=CALIBRATION).success
    between = stored(file, ALMGREN_CHRISS_PARAMETERS)
    lenders = borrowed.rows[borrowed.rows["market_id"] != "thin"]
    assert between[between["market_id"] == "thin"]["timestamp"].dt.date.tolist() == DAYS[:1]
    assert len(between) == len(lenders) + 1
    pd.testing.assert_frame_equal(calibrated(file, instance, [(DAYS[0], DAYS[-1])]), borrowed.rows)


def test_without_its_venues_markets_it_is_refused_again(
    borrowed: Borrowed, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """What was lent before is not kept: the row says what is known now."""
    file = folder_with(borrowed.file, tmp_path, ["thin", *LENDERS])
    nobody = pd.DataFrame(columns=list(ALMGREN_CHRISS_PARAMETERS.column_names))
    with opened(file) as store:
        gone = [ResultDay(LENDERS[0], LENDERS[0], day) for day in DAYS]
        store.results.replace_days(ALMGREN_CHRISS_PARAMETERS, gone, nobody)
    assert run(file, instance, DAYS[-1], DAYS[-1], stages=CALIBRATION, only=["thin"]).success
    assert stored(file, ALMGREN_CHRISS_PARAMETERS, "thin")["status"].iloc[-1] == "refused"
    assert shown(instance, "thin", PARAMETERS.name, DAYS[-1])["status"] == "refused"
