"""Browsers' sessions that were ended before their time, kept until they would have ended by themselves."""

from typing import Any, Final

from sqlalchemy import BindParameter, Double, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from app.store.engine import Database
from app.store.tables import ended_sessions


class SessionStore:
    """The ended sessions. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        insert: Any = sqlite.insert if database.dialect == "sqlite" else postgresql.insert
        self._end = insert(ended_sessions).values(id=_ID, until=_UNTIL).on_conflict_do_nothing()

    async def end(self, session: str, until: float) -> None:
        """End a session, which would have lasted until that epoch second; once more changes nothing."""
        async with self._database.writing() as connection:
            await connection.execute(self._end, {"session": session, "ends": until})

    async def has_ended(self, session: str) -> bool:
        """Whether somebody has ended the session."""
        async with self._database.reading() as connection:
            return (await connection.execute(_FIND, {"session": session})).first() is not None

    async def forget(self, now: float) -> int:
        """Forget those that would have ended by themselves at ``now`` (epoch seconds); how many they were."""
        async with self._database.writing() as connection:
            return (await connection.execute(_FORGET, {"ends": now})).rowcount


_ID: Final = bindparam("session", type_=Text())
_UNTIL: Final[BindParameter[float]] = bindparam("ends", type_=Double())
_FIND: Final = select(ended_sessions.c.id).where(ended_sessions.c.id == _ID)
_FORGET: Final = delete(ended_sessions).where(ended_sessions.c.until < _UNTIL)
