"""From settings to an open market store; the one place that knows which kinds exist.

Opening is cheap: nothing is connected before the first question. The QuestDB packages are an optional extra and are
imported only when the settings ask for that store.
"""

from tributary_pipelines.core.errors import ConfigurationError
from tributary_pipelines.core.settings import Settings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.duckdb.connection import DuckDBFile
from tributary_pipelines.storage.duckdb.reader import DuckDBReader
from tributary_pipelines.storage.duckdb.results import DuckDBResults
from tributary_pipelines.storage.duckdb.writer import DuckDBWriter


def open_store(settings: Settings) -> MarketStore:
    """Open the market store that the settings name.

    Raises
    ------
    ConfigurationError
        The settings ask for QuestDB and its packages are not installed.
    """
    if settings.storage.kind == "duckdb":
        return _open_duckdb(settings)
    try:
        from tributary_pipelines.storage.questdb.store import open_questdb  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"storage.kind is questdb, and the package {error.name!r} is not installed; "
            "run: pip install 'tributary-pipelines[questdb]'"
        ) from error
    return open_questdb(settings.storage)


def _open_duckdb(settings: Settings) -> MarketStore:
    path = settings.resolve(settings.storage.path)
    file = DuckDBFile(path, settings.storage.lock_timeout)
    return MarketStore(
        name=f"duckdb {path}",
        reader=DuckDBReader(file),
        writer=DuckDBWriter(file),
        results=DuckDBResults(file),
        close=lambda: None,
    )
