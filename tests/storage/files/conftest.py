"""An import that names its file by what it holds, into a store in memory; and a real embedded store."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.fakes import MemoryStore
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.files import ImportOptions, ImportSummary, import_files
from tributary_pipelines.storage.open import open_store

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ImportText = Callable[..., ImportSummary]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def database(tmp_path: Path) -> MarketStore:
    return open_store(Settings(folder=tmp_path))


@pytest.fixture
def import_text(store: MemoryStore, tmp_path: Path) -> ImportText:
    """Import a text as a file: ``import_text("trades", text, "t.csv", market="m", ...)``."""

    def run(kind: str, text: str | bytes, name: str = "file.csv", **options: object) -> ImportSummary:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return import_files(store, kind, [path], options=ImportOptions(**options), now=NOW)

    return run
