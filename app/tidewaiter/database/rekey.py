"""Encrypts links, secret parameters and refresh tokens with another key, or decrypts them, while daemons work."""

from typing import Any, Final

from sqlalchemy import Column, Integer, Text, bindparam, not_, select, tuple_, update

from tidewaiter.database.engine import Database
from tidewaiter.database.sealing import PAGED, Seal
from tidewaiter.database.tables import backfills, jobs, links, refresh_tokens
from tidewaiter.domain.secret_params import NO_TEXT

_AT_ONCE: Final = 100
_PAGE: Final = (links.c.job_id, links.c.version, links.c.page)
_PAGES: Final = (
    select(*_PAGE, links.c.text)
    .where(tuple_(*_PAGE) > tuple_(*(bindparam(f"after_{one.name}", type_=one.type) for one in _PAGE)))
    .order_by(*_PAGE)
    .limit(bindparam("limit", type_=Integer()))
)
_REPLACE_PAGE: Final = (
    update(links)
    .where(*(one == bindparam(f"at_{one.name}", type_=one.type) for one in _PAGE))
    .where(links.c.text == bindparam("before", type_=Text()))
    .values(text=bindparam("links", type_=Text()))
)
_TOKENS: Final = select(refresh_tokens.c.account, refresh_tokens.c.token).order_by(refresh_tokens.c.account)
_REPLACE_TOKEN: Final = (
    update(refresh_tokens)
    .where(
        refresh_tokens.c.account == bindparam("name", type_=Text()),
        refresh_tokens.c.token == bindparam("before", type_=Text()),
    )
    .values(token=bindparam("sealed", type_=Text()))
)


async def rekey(database: Database, seal: Seal, *, decrypt: bool) -> tuple[int, int]:
    """Write all links again.

    Args:
        database: where they are.
        seal: has the keys; the first one encrypts.
        decrypt: whether to store them as plain text.

    Returns:
        The number of jobs whose links were written, and the number whose links no key decrypts.

    Raises:
        StoreUnavailableError: the database cannot be used; written links stay, and the rest can be done later.
    """
    in_rows = await _rekey_column(database, seal, (jobs.c.id, jobs.c.links, "[]"), decrypt=decrypt)
    in_pages = await _rekey_pages(database, seal, decrypt=decrypt)
    return in_rows[0] + in_pages[0], in_rows[1] + in_pages[1]


async def rekey_secrets(database: Database, seal: Seal, *, decrypt: bool) -> tuple[int, int]:
    """The same for the secret parameters of jobs and backfills, counted together."""
    of_jobs = await _rekey_column(database, seal, (jobs.c.id, jobs.c.secrets, NO_TEXT), decrypt=decrypt)
    columns = backfills.c.batch, backfills.c.secrets, NO_TEXT
    of_backfills = await _rekey_column(database, seal, columns, decrypt=decrypt)
    return of_jobs[0] + of_backfills[0], of_jobs[1] + of_backfills[1]


async def _rekey_column(
    database: Database, seal: Seal, columns: tuple[Column[Any], Column[str], str], *, decrypt: bool
) -> tuple[int, int]:
    """Write the texts of a column again; ``columns`` are that of the key, that of the text, and the empty text."""
    key, text, empty = columns
    # What another process has written in the meantime stays: it uses the new key.
    replace = (
        update(text.table)
        .where(key == bindparam("number", type_=key.type), text == bindparam("before", type_=Text()))
        .values({text.name: bindparam("after", type_=Text())})
    )
    written = unreadable = 0
    last: object = None
    is_here = not_(text.startswith(PAGED, autoescape=True))
    while True:
        some = select(key, text).where(text != empty, is_here).order_by(key).limit(_AT_ONCE)
        async with database.reading() as connection:
            rows = (await connection.execute(some if last is None else some.where(key > last))).all()
        if not rows:
            return written, unreadable
        changes = []
        for number, before in rows:
            plain = seal.unsealed(before)
            if plain is None:
                unreadable += 1
            else:
                changes.append({"number": number, "before": before, "after": plain if decrypt else seal.sealed(plain)})
        if changes:
            async with database.writing() as connection:
                for change in changes:
                    written += (await connection.execute(replace, change)).rowcount
        last = rows[-1][0]


async def _rekey_pages(database: Database, seal: Seal, *, decrypt: bool) -> tuple[int, int]:
    """The same for links in pages, one after the other: a page may be large."""
    written: set[int] = set()
    unreadable: set[int] = set()
    after = (0, 0, -1)
    while True:
        place = {f"after_{one.name}": value for one, value in zip(_PAGE, after, strict=True)}
        async with database.reading() as connection:
            row = (await connection.execute(_PAGES, {**place, "limit": 1})).first()
        if row is None:
            return len(written - unreadable), len(unreadable)
        after, before = (row[0], row[1], row[2]), row[3]
        plain = seal.unsealed(before)
        if plain is None:
            unreadable.add(row[0])
            continue
        change = {f"at_{one.name}": value for one, value in zip(_PAGE, after, strict=True)}
        async with database.writing() as connection:
            again = plain if decrypt else seal.sealed(plain)
            await connection.execute(_REPLACE_PAGE, {**change, "before": before, "links": again})
        written.add(row[0])


async def rekey_refresh_tokens(database: Database, seal: Seal) -> tuple[int, int]:
    """Encrypt all refresh tokens again with the first key; they are never stored as plain text.

    Returns and raises as :func:`rekey` does.
    """
    async with database.reading() as connection:
        rows = (await connection.execute(_TOKENS)).all()
    written = unreadable = 0
    for name, before in rows:
        plain = seal.unsealed(before)
        if plain is None:
            unreadable += 1
            continue
        async with database.writing() as connection:
            change = {"name": name, "before": before, "sealed": seal.sealed(plain)}
            written += (await connection.execute(_REPLACE_TOKEN, change)).rowcount
    return written, unreadable
