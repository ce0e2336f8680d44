"""Fixtures that several suites share: migrated, empty databases of both kinds, and buckets."""

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.compiled_statements import compile_statements_once
from tests.support.effort import register_profiles
from tests.support.kept_databases import KeptDatabases
from tests.support.postgres import Postgres, running_postgres
from tests.support.s3 import Bucket, S3Server, running_s3
from tidewaiter.database import migrate

register_profiles()
compile_statements_once()

# No test connects to a public host, and for each client OpenSSL would read all authorities of the system.
os.environ["SSL_CERT_FILE"] = os.devnull


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """Leave the thousands of tests out of the collections of garbage, so that full ones are cheap and frequent."""
    gc.collect()
    gc.freeze()
    gc.collect()  # Python waits with a full one until much is new, measured by what the last one has left.
    gc.set_threshold(10_000, 10, 5)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for this test process."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def kept_databases(postgres: Postgres) -> KeptDatabases:
    """Databases of that server, which tests use one after another."""
    return KeptDatabases(postgres)


@pytest.fixture
def postgres_url(postgres: Postgres, kept_databases: KeptDatabases) -> Iterator[str]:
    """The URL of a PostgreSQL database of this test's own, migrated and empty."""
    name = kept_databases.borrow()
    yield postgres.url(name)
    kept_databases.give_back(name)


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty SQLite file to make copies of."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrate.upgrade(f"sqlite:///{path}")
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """The URL of an SQLite file of this test's own, migrated and empty."""
    path = tmp_path / "tidewaiter.db"
    shutil.copyfile(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A database of this test's own, migrated and empty: the test runs on both kinds."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A server that speaks S3, for this test process."""
    with running_s3(tmp_path_factory.mktemp("s3") / "server.log") as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server) -> Bucket:
    """A bucket of this test's own, empty."""
    return s3.bucket()
