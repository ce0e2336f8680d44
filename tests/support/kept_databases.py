"""Migrated, empty databases that tests use one after another: to make one costs ten times what it costs to empty one.

A test must not notice which one it gets. So every test gets a name of its own, and whatever is still connected under
an old name is cut off. A database comes back only if the test has changed nothing but rows; all others are dropped.
"""

from contextlib import closing
from typing import Any, Final

import psycopg
from psycopg import sql

from tests.support.postgres import Postgres

# The planner takes a table of fewer pages for one of so many, so that rows that are gone change none of its plans.
_PAGES_OF_A_NEW_TABLE: Final = 10

# A new object of whatever kind depends on another, a right depends on a role, and a change changes one of the others.
_CATALOGUES: Final = (
    "pg_attribute", "pg_constraint", "pg_default_acl", "pg_depend", "pg_index", "pg_namespace", "pg_proc",
    "pg_sequence", "pg_shdepend", "pg_trigger",
)  # fmt: skip
_ROWS_OF_A_CATALOGUE: Final = sql.SQL(
    "SELECT {name}, concat_ws(' ', count(*), max(xmin::text::bigint), sum(xmin::text::bigint)) FROM {table}"
)
# Of `pg_class` all but what rows change: where a relation is, and how much there is in it.
_OTHERS: Final = sql.SQL(
    """
    SELECT 'pg_class', md5(string_agg((to_jsonb(c) - '{
        relfilenode, relpages, reltuples, relallvisible, relallfrozen, relfrozenxid, relminmxid
    }'::text[])::text, '' ORDER BY oid)) FROM pg_class c WHERE oid >= 16384
    UNION ALL
    SELECT 'statistics', count(*)::text FROM pg_statistic WHERE starelid >= 16384
    UNION ALL
    SELECT 'settings', count(*)::text FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
    WHERE datname = current_database()
    UNION ALL
    SELECT 'database', concat_ws(' ', datacl, datconnlimit, datdba) FROM pg_database WHERE datname = current_database()
    UNION ALL
    SELECT 'version', string_agg(version_num, ' ') FROM alembic_version
    """
)
_SCHEMA: Final = sql.SQL(" UNION ALL ").join(
    [
        *(_ROWS_OF_A_CATALOGUE.format(name=sql.Literal(name), table=sql.Identifier(name)) for name in _CATALOGUES),
        _OTHERS,
    ]
)

# The tables that may hold rows, and whether one is so large, or so much is known of it, that it has to be made anew.
_USED: Final = """
    SELECT relname, reltuples <> -1 OR pg_relation_size(oid) >= %s * current_setting('block_size')::int
    FROM pg_class
    WHERE relkind = 'r' AND oid >= 16384 AND relname <> 'alembic_version'
        AND (reltuples <> -1 OR pg_relation_size(oid) > 0)
"""
_RESTART: Final = sql.SQL("SELECT setval(oid, 1, false) FROM pg_class WHERE relkind = 'S' AND oid >= 16384")


class KeptDatabases:
    """The migrated, empty databases of one server."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._free: list[str] = []
        with self._connection("migrated") as connection:
            self._schema = schema_of(connection)

    def borrow(self) -> str:
        """The name of a database that nobody else uses."""
        return self._free.pop() if self._free else self._postgres.create()

    def give_back(self, database: str) -> None:
        """Cut off whatever uses a database and empty it for the next test; drop it, if more than rows changed."""
        renamed = self._postgres.rename(database)
        with self._connection(renamed) as connection:
            is_unchanged = schema_of(connection) == self._schema
            if is_unchanged:
                _empty(connection)
        if is_unchanged:
            self._free.append(renamed)
        else:
            self._postgres.drop(renamed)

    def _connection(self, database: str) -> closing["psycopg.Connection[Any]"]:
        return closing(psycopg.connect(self._postgres.url(database), autocommit=True))


def schema_of(connection: "psycopg.Connection[Any]") -> dict[str, str]:
    """What there is in a database beside rows, in short: changes if the schema, a right, a setting or a plan does."""
    return dict(connection.execute(_SCHEMA).fetchall())


def _empty(connection: "psycopg.Connection[Any]") -> None:
    used = connection.execute(_USED, [_PAGES_OF_A_NEW_TABLE]).fetchall()
    small, large = ([sql.Identifier(name) for name, is_large in used if is_large is which] for which in (False, True))
    # Every table is emptied, so that no key has to look for what refers to it.
    statements: list[sql.Composable] = [sql.SQL("SET session_replication_role = replica")]
    statements.extend(sql.SQL("DELETE FROM {}").format(table) for table in small)
    if large:
        statements.append(sql.SQL("TRUNCATE {} CASCADE").format(sql.SQL(", ").join(large)))
    connection.execute(sql.SQL("; ").join([*statements, _RESTART]))
