"""What every test shares."""

import pytest

pytest_plugins = ["tests.what_cannot_run", "tests.stores"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run what needs no server first."""
    items.sort(key=lambda item: item.get_closest_marker("integration") is not None)
