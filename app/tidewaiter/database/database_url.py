"""Where the database is: the operator's URL, parsed once, and written as each driver needs it."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """A database by its URL: ``sqlite:///path/to/file`` or ``postgresql://user:password@host/name``.

    ``file`` is the SQLite file; ``None`` on PostgreSQL.
    """

    url: URL
    file: Path | None

    @classmethod
    def parse(cls, url: str) -> "DatabaseAddress":
        """Read a URL.

        Raises:
            ValueError: it is not a URL of a supported database; the message never repeats the URL, which may contain a
                password.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("The database URL cannot be read: it must look like sqlite:///path/to/file") from None
        match parsed.drivername.partition("+")[0]:
            case "sqlite":
                if not parsed.database or parsed.database == ":memory:" or parsed.host:
                    raise ValueError("The database URL must name a file: sqlite:///relative or sqlite:////absolute")
                return cls(parsed, Path(parsed.database))
            case "postgresql" | "postgres":
                return cls(parsed, None)
            case other:
                raise ValueError(f"The database URL must begin with sqlite: or postgresql:, not {other}:")

    @property
    def name(self) -> str:
        """The URL for logs: without password, and without the query, which may contain another."""
        url = self.url
        return URL.create(url.drivername, url.username, None, url.host, url.port, url.database).render_as_string()

    def for_daemon(self) -> URL:
        """The URL with the asynchronous driver."""
        return self._with("sqlite+aiosqlite")

    def for_migrations(self) -> URL:
        """The URL with the driver that Alembic needs, which is not asynchronous."""
        return self._with("sqlite+pysqlite")

    def _with(self, sqlite_driver: str) -> URL:
        if self.file is not None:
            return URL.create(sqlite_driver, database=str(self.file))
        return self.url.set(drivername="postgresql+psycopg")
