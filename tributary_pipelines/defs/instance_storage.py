"""Where Dagster keeps its own records: PostgreSQL when the environment names a server, SQLite files otherwise.

One dagster.yaml serves production and a laptop that way. Dagster's ``{env: NAME}`` has no default: with its plain
``storage: postgres`` every command in this folder, even ``dg check defs``, would ask for a database server.

Dagster's PostgreSQL storage closes every connection after use and opens ten to write down one asset and day, which
takes longer than computing it (benchmarks/recalibration.py). Here a process keeps a few of them open.
"""

import os
import select
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine
from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from tributary_pipelines.core.errors import ConfigurationError

#: Used without DAGSTER_HOME; the same folder as ``tributary init`` makes.
_LOCAL_HOME = ".tributary/dagster_home"
#: Connections that a process keeps; more of its threads at once open and close their own.
_KEPT = 2


class PostgresOrSqliteStorage(DagsterStorage, ConfigurableClass):
    """The choice that dagster.yaml names; what it returns is one of Dagster's own storages."""

    @classmethod
    def config_type(cls) -> dict[str, dg.Field]:
        """Return the schema: ``postgres_db`` as Dagster's own, its ``{env: NAME}`` still unresolved."""
        return {"postgres_db": dg.Field(dict)}

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, _: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> DagsterStorage:
        """Return the storage in force.

        The host decides: once it is set, Dagster demands the rest and names each variable that is missing.
        """
        host, user = (config_value["postgres_db"][name]["env"] for name in ("hostname", "username"))
        # A password alone may come from the .env file of docker compose; a user is set only where a server is meant.
        if dg.EnvVar(user).get_value() and not dg.EnvVar(host).get_value():
            raise ConfigurationError(
                f"{user} is set and {host} is not: Dagster's records would silently go to SQLite; set both or neither"
            )
        if dg.EnvVar(host).get_value():
            chosen = _storage("dagster_postgres", "DagsterPostgresStorage", dict(config_value))
        else:
            home = dg.EnvVar("DAGSTER_HOME").get_value() or _LOCAL_HOME
            files = {"base_dir": str(Path(home).resolve())}
            chosen = _storage("dagster._core.storage.sqlite_storage", "DagsterSqliteStorage", files)
        storage = chosen.rehydrate(as_type=DagsterStorage)  # type: ignore[type-abstract]
        if isinstance(storage, DagsterPostgresStorage):
            _keep_connections(storage)
        return storage


def _storage(module: str, name: str, config: dict[str, Any]) -> ConfigurableClassData:
    return ConfigurableClassData(module, name, yaml.safe_dump(config))


def _keep_connections(storage: DagsterPostgresStorage) -> None:
    """Let the three parts of a storage take their connections from this process's pool."""
    engine = _pooled(storage.postgres_url)
    parts: tuple[Any, ...] = (storage.run_storage, storage.event_log_storage, storage.schedule_storage)
    for part in parts:
        # Dagster has a pool of its own for the webserver alone, set in the same place.
        part._engine = engine  # noqa: SLF001


@cache
def _pooled(url: str) -> Engine:
    """Return the one pool of an address: an instance is made for every tick, and none of them may leave any open."""
    engine = create_pg_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=_KEPT,
        # Never wait for another thread, as without a pool.
        max_overflow=-1,
    )
    event.listen(engine, "checkout", _refuse_closed)
    # A forked process must not speak on its parent's connections.
    os.register_at_fork(after_in_child=partial(engine.dispose, close=False))
    return engine


def _refuse_closed(connection: Any, *_: object) -> None:
    """Let the pool replace a connection that a restarted server, or a pooler, has closed.

    Nothing is due on a connection that nobody uses: what can be read there is the end, or its announcement. Asking
    the server (``pool_pre_ping``) would be two of five questions of a run.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if connection.closed or waiting.poll(0):
        raise DisconnectionError
