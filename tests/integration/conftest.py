"""Real servers for the tests of this folder, started once a session and only when a test asks for them."""

from collections.abc import Iterator

import pytest

from tests.integration.postgresql import PostgresDatabase, new_database, running_server


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresDatabase]:
    """A PostgreSQL server for the whole session."""
    with running_server() as server:
        yield server


@pytest.fixture
def postgres(postgres_server: PostgresDatabase) -> Iterator[PostgresDatabase]:
    """An empty PostgreSQL database of this test's own."""
    with new_database(postgres_server) as database:
        yield database
