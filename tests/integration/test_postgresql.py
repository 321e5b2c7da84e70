"""The PostgreSQL that the other tests stand on: reachable by TCP with its password, and nobody else's data in it."""

import psycopg
import pytest

from tests.integration.postgresql import PostgresDatabase, new_database

pytestmark = pytest.mark.integration


def test_a_database_is_reached_by_tcp_with_its_password(postgres: PostgresDatabase) -> None:
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SELECT current_database(), inet_server_addr() = '127.0.0.1'").fetchone() == (
            postgres.database,
            True,
        )


def test_a_wrong_password_is_refused(postgres: PostgresDatabase) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.url.replace(postgres.password, "wrong"))


def test_two_databases_share_nothing(postgres: PostgresDatabase, postgres_server: PostgresDatabase) -> None:
    with psycopg.connect(postgres.url) as connection:
        connection.execute("CREATE TABLE here (x int)")
    with new_database(postgres_server) as other, psycopg.connect(other.url) as connection:
        assert connection.execute("SELECT to_regclass('here')").fetchone() == (None,)
