"""Browser sessions that people ended, kept until they would have expired."""

from typing import Any, Final

from sqlalchemy import BindParameter, Double, Text, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from tidewaiter.database.engine import Database
from tidewaiter.database.tables import ended_sessions


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
        """End a session that would have lasted until that epoch second; a repetition changes nothing."""
        async with self._database.writing() as connection:
            await connection.execute(self._end, {"session": session, "ends": until})

    async def has_ended(self, session: str) -> bool:
        """Whether the session was ended."""
        found = await self._database.read(lambda connection: connection.execute(_FIND, {"session": session}).first())
        return found is not None

    async def delete_expired(self, now: float) -> int:
        """Delete those that would have expired at ``now`` (epoch seconds); returns their number."""
        async with self._database.writing() as connection:
            return (await connection.execute(_DELETE_EXPIRED, {"ends": now})).rowcount


_ID: Final = bindparam("session", type_=Text())
_UNTIL: Final[BindParameter[float]] = bindparam("ends", type_=Double())
_FIND: Final = select(ended_sessions.c.id).where(ended_sessions.c.id == _ID)
_DELETE_EXPIRED: Final = delete(ended_sessions).where(ended_sessions.c.until < _UNTIL)
