"""Instruments a few together: how many, and what a failing store means for a group."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from tests.defs.small_pipeline import FIRST_DAY, LAST_DAY, opened, run
from tests.storage.result_writers import DAY, ONE, bars
from tributary_pipelines.core.errors import StorageError
from tributary_pipelines.core.result_frames import ALMGREN_CHRISS_PARAMETERS, VWAP_BARS
from tributary_pipelines.core.settings import AnalyticsSettings, Instrument
from tributary_pipelines.core.units import day_start
from tributary_pipelines.defs.stages import IMPACT_STATISTICS, PARAMETERS
from tributary_pipelines.defs.steps import MOST_TOGETHER, StageRun
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.duckdb.results import DuckDBResults

TOKEN = ("m", "yes")
SPAN = (day_start(DAY), day_start(DAY) + timedelta(days=1))


@pytest.fixture
def stage_run(duckdb_store: MarketStore) -> Callable[[int], StageRun]:
    """Makes the run of a stage over some days, on an empty store."""

    def make(n_days: int) -> StageRun:
        context: Any = SimpleNamespace(retry_number=0, log=SimpleNamespace(warning=lambda _: None))
        days = [FIRST_DAY + timedelta(days=n) for n in range(n_days)]
        return StageRun(context, duckdb_store, AnalyticsSettings(), {}, [], days)

    return make


@pytest.mark.parametrize(
    ("n_days", "sizes"), [(1, [16, 16, 8]), (3, [5] * 8), (16, [1] * 40), (17, [1] * 40), (400, [1] * 40)]
)
def test_the_more_days_the_fewer_together(stage_run: Callable[[int], StageRun], n_days: int, sizes: list[int]) -> None:
    chosen = [(dg.AssetKey(f"a{n}"), Instrument(name=f"a{n}", market_id="m")) for n in range(40)]
    groups = list(stage_run(n_days).groups(iter(chosen)))
    assert [len(group) for group in groups] == sizes
    assert [one for group in groups for one in group] == chosen
    assert all(len(group) * n_days <= MOST_TOGETHER or len(group) == 1 for group in groups)


def test_what_a_group_makes_is_stored_when_its_block_ends(stage_run: Callable[[int], StageRun]) -> None:
    whole = stage_run(1)
    with whole.together([TOKEN, TOKEN]) as near:
        near.store.results.replace_days(VWAP_BARS, [ONE], bars(3, 0.5))
        assert whole.store.results.read(VWAP_BARS, *SPAN).empty
        near.failed["b"] = "a reason"
    assert len(whole.store.results.read(VWAP_BARS, *SPAN)) == 3
    assert whole.failed == {"b": "a reason"}


def test_a_store_that_fails_at_the_end_of_a_group_is_tried_again(
    stage_run: Callable[[int], StageRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise StorageError("cannot reach QuestDB")

    def make_bars() -> None:
        with stage_run(1).together([TOKEN]) as near:
            near.store.results.replace_days(VWAP_BARS, [ONE], bars(3, 0.5))
            monkeypatch.setattr(DuckDBResults, "replace_checked", unreachable)

    with pytest.raises(dg.RetryRequested):
        make_bars()


def test_a_check_of_many_instruments_reads_once(
    folder: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[tuple[str, str]]] = []
    honest = DuckDBResults.read_of

    def read_of(self: DuckDBResults, frame: Any, tokens: Any, *span: Any) -> Any:
        if frame == ALMGREN_CHRISS_PARAMETERS:
            asked.append(list(tokens))
        return honest(self, frame, tokens, *span)

    monkeypatch.setattr(DuckDBResults, "read_of", read_of)
    assert run(folder, instance, LAST_DAY, LAST_DAY, stages=[IMPACT_STATISTICS, PARAMETERS]).success
    with opened(folder) as store:
        known = {market.market_id: market.token_id for market in store.reader.markets()}
    tokens = [(name, known[name]) for name in ("alpha", "thin")]
    assert tokens in asked
    assert not any([token] in asked for token in tokens)
