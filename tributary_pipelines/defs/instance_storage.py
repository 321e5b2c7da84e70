"""Where Dagster keeps its own records: PostgreSQL when the environment names a server, SQLite files otherwise.

One dagster.yaml serves production and a laptop that way. Dagster's ``{env: NAME}`` has no default: with its plain
``storage: postgres`` every command in this folder, even ``dg check defs``, would ask for a database server.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.storage.base_storage import DagsterStorage
from dagster._serdes import ConfigurableClass, ConfigurableClassData

from tributary_pipelines.core.errors import ConfigurationError

#: Used without DAGSTER_HOME; the same folder as ``tributary init`` makes.
_LOCAL_HOME = ".tributary/dagster_home"


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
        return chosen.rehydrate(as_type=DagsterStorage)  # type: ignore[type-abstract]


def _storage(module: str, name: str, config: dict[str, Any]) -> ConfigurableClassData:
    return ConfigurableClassData(module, name, yaml.safe_dump(config))
