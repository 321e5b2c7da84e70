"""PostgreSQL's binary cells decoded in bulk give what the server's Parquet gives."""

import numpy as np
import pytest

from tests.stores import Run
from tributary_pipelines.core.settings import StorageSettings
from tributary_pipelines.storage.arrow import LADDERS
from tributary_pipelines.storage.questdb.bulk import BulkReader
from tributary_pipelines.storage.questdb.connection import QuestDBConnection
from tributary_pipelines.storage.questdb.http import QuestDBHttp
from tributary_pipelines.storage.questdb.server import ServerInfo

pytestmark = pytest.mark.integration

ROWS = (
    "(1, ARRAY[1.5, 2.5], ARRAY[1.0], ARRAY[0.1, 0.2, 0.3], ARRAY[-1e300])",
    "(2, null, null, null, null)",
    "(3, ARRAY[1.0, null, 3.0], ARRAY[null::double], ARRAY[7.0], ARRAY[null::double, 2.0])",
    "(4, ARRAY[8.0], ARRAY[9.0, 9.0], ARRAY[1e-300], ARRAY[0.0])",
)


@pytest.mark.parametrize("n_batch", [1, 2, 1000])
def test_both_ways_give_the_same(
    questdb_server: ServerInfo, questdb_run: Run, monkeypatch: pytest.MonkeyPatch, n_batch: int
) -> None:
    monkeypatch.setattr("tributary_pipelines.storage.questdb.bulk._BATCH_ROWS", n_batch)
    columns = ", ".join(f"{name} DOUBLE[]" for name in LADDERS)
    questdb_run(f"CREATE TABLE cells (us LONG, {columns})")
    for row in ROWS:
        questdb_run(f"INSERT INTO cells VALUES {row}")
    query = f"SELECT us AS timestamp, {', '.join(LADDERS)} FROM cells WHERE us <= $1"
    storage = questdb_server.storage_settings()
    found = {}
    for credentials in ({}, {"http_user": None, "http_password": None}):
        settings = StorageSettings.model_validate({**storage, **credentials})
        connection, http = QuestDBConnection(settings), QuestDBHttp(settings)
        bulk = BulkReader(connection, http)
        found[bool(credentials)] = [bulk.ladders(query, [last]).to_pydict() for last in (4, 2, 1, 0)]
        numbers = bulk.numbers("SELECT us, us * 0.5 FROM cells WHERE us < $1", [3], "ld")
        assert [column.tolist() for column in numbers] == [[1, 2], [0.5, 1.0]]
        assert [column.dtype for column in numbers] == [np.int64, np.float64]
        assert [len(column) for column in bulk.numbers("SELECT us, us * 0.5 FROM cells WHERE us < $1", [0], "ld")] == [
            0,
            0,
        ]
        connection.close()
        http.close()
    over_http, over_wire = found[False], found[True]
    for one, other in zip(over_http, over_wire, strict=True):
        assert [{**one, **{n: [v or [] for v in one[n]] for n in LADDERS}}] == [other]
