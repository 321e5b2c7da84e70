"""Dagster for the tests of this folder: an instance in memory, and its beta features without their warnings."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Windows before the first partition are a beta feature of Dagster that the pipeline stands on."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings("ignore::dagster.BetaWarning"))


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance of this test's own, in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
