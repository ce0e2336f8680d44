"""Databases of PostgreSQL in encodings that Tidewaiter refuses."""

import psycopg
from psycopg import sql
from sqlalchemy import text

from tests.support.postgres import Postgres
from tidewaiter.database import migrate
from tidewaiter.database.schema_check import known_revisions
from tidewaiter.database.tables import metadata


def in_encoding(postgres: Postgres, encoding: str) -> str:
    """The name of a new, empty database in an encoding."""
    name = f"in_{encoding.lower()}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(name)))
        connection.execute(
            sql.SQL("CREATE DATABASE {} ENCODING {} TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'").format(
                sql.Identifier(name), sql.Literal(encoding)
            )
        )
    return name


def with_tables(postgres: Postgres, encoding: str) -> str:
    """The URL of a database in an encoding, as an older version has made it."""
    url = postgres.url(in_encoding(postgres, encoding))
    with migrate._transaction(url) as connection:
        metadata.create_all(connection)
        connection.execute(text("CREATE TABLE alembic_version (version_num text)"))
        connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": known_revisions()[-1]})
    return url
