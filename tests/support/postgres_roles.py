"""A role of PostgreSQL that has the rights that the documentation names, and no more."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql
from sqlalchemy import make_url

ROLE = "limited"
# As docs/operate.md says it.
RIGHTS = (
    "GRANT USAGE ON SCHEMA public TO limited",
    "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO limited",
    "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO limited",
)


def run(url: str, *statements: str) -> None:
    """Run statements as the owner."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(sql.SQL(statement))


@contextmanager
def limited(url: str) -> Iterator[str]:
    """The URL of the database for a new role with the documented rights; it may not create tables."""
    run(
        url,
        f"CREATE ROLE {ROLE} LOGIN",
        "REVOKE ALL ON SCHEMA public FROM PUBLIC",
        *RIGHTS,
    )
    try:
        yield make_url(url).set(username=ROLE).render_as_string(hide_password=False)
    finally:
        run(url, f"DROP OWNED BY {ROLE}", f"DROP ROLE {ROLE}")
