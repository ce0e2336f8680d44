"""Which rights a role of PostgreSQL needs, and which of them it lacks, with the statement that grants each."""

import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text

from tidewaiter.database.tables import metadata

_TABLES: Final = tuple(sorted(metadata.tables))
_VERSIONS: Final = "alembic_version"

_READ_ROLE: Final = text("""
    SELECT quote_ident(current_user), quote_ident(current_database()),
           quote_ident(coalesce(current_schema(), 'public')),
           current_schema() IS NOT NULL, coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
           pg_is_in_recovery(), current_setting('default_transaction_read_only') = 'on',
           (SELECT source FROM pg_settings WHERE name = 'default_transaction_read_only')
""")
_READ_TABLES: Final = text("""
    SELECT quote_ident(nspname) || '.' || quote_ident(relname), wanted
    FROM unnest(CAST(:tables AS text[])) AS named
    JOIN pg_class ON pg_class.oid = to_regclass(named)
    JOIN pg_namespace ON pg_namespace.oid = relnamespace
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS rights (wanted, place)
    WHERE NOT has_table_privilege(pg_class.oid, wanted) AND (relname <> :versions OR wanted = 'SELECT')
    ORDER BY 1, place
""")
# New jobs take their numbers from the sequence before they are inserted.
_READ_SEQUENCES: Final = text("""
    SELECT quote_ident(nspname) || '.' || quote_ident(relname)
    FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
    WHERE pg_class.oid = CASE WHEN to_regclass('jobs') IS NOT NULL
                              THEN to_regclass(pg_get_serial_sequence('jobs', 'id')) END
    AND NOT has_sequence_privilege(pg_class.oid, 'USAGE')
""")

_ACTIONS: Final = (
    ("INSERT", re.compile(r"\bINSERT\s+INTO\b", re.ASCII)),
    ("UPDATE", re.compile(r"\bUPDATE\b", re.ASCII)),
    ("DELETE", re.compile(r"\bDELETE\s+FROM\b", re.ASCII)),
    ("USAGE", re.compile(r"\bnextval\(", re.ASCII)),
    ("SELECT", re.compile(r"\b(?:SELECT|WHERE|RETURNING)\b", re.ASCII)),
)


@dataclass(frozen=True, slots=True)
class MissingRight:
    """What a role may not do, and the statement that permits it."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RoleRights:
    """What a role lacks to serve, and whether it may create tables; ``grant_create`` is the statement for that."""

    missing: tuple[MissingRight, ...]
    may_create: bool
    grant_create: str


def rights_of(connection: Connection) -> RoleRights:
    """The rights of the connection's role that the daemon needs and does not have."""
    row = connection.execute(_READ_ROLE).one()
    role, database, schema, has_usage, may_create, in_recovery, read_only, source = row
    missing: list[MissingRight] = []
    if in_recovery:
        remedy = "let database.url name the primary server, or list all servers and add target_session_attrs=read-write"
        missing.append(MissingRight("the server is a standby, which is read-only", remedy))
    elif read_only:
        missing.append(MissingRight(*_read_only(role, database, source)))
    if not has_usage:
        message = f"{role} has no USAGE on the schema {schema}, so it sees no tables"
        missing.append(MissingRight(message, f"GRANT USAGE ON SCHEMA {schema} TO {role};"))
    lacking: dict[str, list[str]] = {}
    for table, right in connection.execute(_READ_TABLES, {"tables": [*_TABLES, _VERSIONS], "versions": _VERSIONS}):
        lacking.setdefault(table, []).append(right)
    for table, rights in lacking.items():
        names = ", ".join(rights)
        missing.append(MissingRight(f"{role} has no {names} on {table}", f"GRANT {names} ON {table} TO {role};"))
    missing += [
        MissingRight(f"{role} has no USAGE on {sequence}", f"GRANT USAGE ON SEQUENCE {sequence} TO {role};")
        for sequence in connection.execute(_READ_SEQUENCES).scalars()
    ]
    return RoleRights(tuple(missing), may_create, f"GRANT CREATE ON SCHEMA {schema} TO {role};")


def _read_only(role: str, database: str, source: str) -> tuple[str, str]:
    name = "default_transaction_read_only"
    match source:
        case "user":
            return f"the role {role} is read-only ({name})", f"ALTER ROLE {role} RESET {name};"
        case "database user":
            remedy = f"ALTER ROLE {role} IN DATABASE {database} RESET {name};"
            return f"the role {role} is read-only in this database ({name})", remedy
        case "database":
            return f"the database {database} is read-only ({name})", f"ALTER DATABASE {database} RESET {name};"
        case "client":
            return f"the connection is read-only ({name})", f"remove {name} from the options in database.url"
        case _:
            return f"the server is read-only ({name})", f"ALTER SYSTEM RESET {name}; SELECT pg_reload_conf();"


def rights_used_by(statement: str) -> str:
    """The rights on tables that a statement needs, in words."""
    names = [name for name, pattern in _ACTIONS if pattern.search(statement)]
    return " and ".join(([", ".join(names[:-1])] if names[:-1] else []) + names[-1:])
