"""Dagster for the tests of this folder: an instance in memory, a small store, and beta features without warnings."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from tests.defs.small_pipeline import DAGSTERS_OWN, opened, run, write_markets, write_settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Exempt Dagster's own warnings from being errors, in this folder alone."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            for warning in DAGSTERS_OWN:
                item.add_marker(pytest.mark.filterwarnings(warning))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of this test's own, in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture(scope="session")
def market_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with settings and raw market data, not to be changed."""
    file = write_settings(tmp_path_factory.mktemp("market_data"))
    with opened(file) as store:
        write_markets(store)
    return file


@pytest.fixture
def folder(market_data: Path, tmp_path: Path) -> Path:
    """The settings file of a copy of the market data, of this test's own."""
    shutil.copytree(market_data.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / market_data.name


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run over all stages and days, the folder it ran in and the instance that recorded it."""

    file: Path
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult


@pytest.fixture(scope="session")
def finished(market_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedRun]:
    """The whole pipeline, run once over all days; not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    shutil.copytree(market_data.parent, folder, dirs_exist_ok=True)
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield FinishedRun(folder / market_data.name, ephemeral, run(folder / market_data.name, ephemeral))
