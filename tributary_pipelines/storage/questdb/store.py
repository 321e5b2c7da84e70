"""The three roles of a QuestDB server over one pool and one HTTP client."""

from tributary_pipelines.core.settings import StorageSettings
from tributary_pipelines.storage.base import MarketStore
from tributary_pipelines.storage.questdb.bulk import BulkReader
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.questdb.http import QuestDBHttp
from tributary_pipelines.storage.questdb.layout import Layouts
from tributary_pipelines.storage.questdb.reader import QuestDBReader
from tributary_pipelines.storage.questdb.results import QuestDBResults
from tributary_pipelines.storage.questdb.writer import QuestDBWriter


def open_questdb(settings: StorageSettings) -> MarketStore:
    """Open a QuestDB server; nothing is connected before the first question."""
    connection, http = QuestDBConnection(settings), QuestDBHttp(settings)
    bulk, layouts = BulkReader(connection, http), Layouts(connection)

    def close() -> None:
        connection.close()
        http.close()

    return MarketStore(
        name=f"questdb {connection.address}",
        reader=QuestDBReader(connection, bulk, layouts),
        writer=QuestDBWriter(connection, http, layouts),
        results=QuestDBResults(bulk, layouts),
        close=close,
    )
