"""The landed files of a job: one of them, a page, or their totals, because a job may have a hundred thousand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import BigInteger, Integer, bindparam, func, select

from tidewaiter.database.engine import Database
from tidewaiter.database.row_codec import ARTIFACT_COLUMNS, artifact_of
from tidewaiter.database.tables import artifacts
from tidewaiter.domain.manifest import Artifact

_OF_JOB: Final = artifacts.c.job_id == bindparam("job", type_=BigInteger())
_PAGE: Final = (
    select(*ARTIFACT_COLUMNS)
    .where(_OF_JOB, artifacts.c.number > bindparam("after", type_=Integer()))
    .order_by(artifacts.c.number)
    .limit(bindparam("limit", type_=Integer()))
)
_TOTALS: Final = select(func.count(), func.coalesce(func.sum(artifacts.c.size), 0)).where(_OF_JOB)
_BEFORE_ALL: Final = -1


@dataclass(frozen=True, slots=True)
class FileTotals:
    """How many files a job has, their bytes together, and the checksums of the first ones."""

    files: int
    bytes: int
    sha256: tuple[str, ...]

    @classmethod
    def of(cls, files: Sequence[Artifact], digests: int) -> "FileTotals":
        """The totals of files that are all at hand."""
        return cls(len(files), sum(one.size for one in files), tuple(one.sha256 for one in files[:digests]))


class ArtifactStore:
    """Reads landed files. Every method raises ``StoreUnavailableError`` where the database does.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, job: int, limit: int, after: int = _BEFORE_ALL) -> list[Artifact]:
        """The files of a job by number, behind the number ``after``."""
        rows = await self._rows(_PAGE, job=job, after=after, limit=limit)
        return [artifact_of(row) for row in rows]

    async def one(self, job: int, number: int) -> Artifact | None:
        """The file of a job with this number."""
        found = await self.page(job, 1, number - 1)
        return found[0] if found and found[0].number == number else None

    async def totals(self, job: int, digests: int) -> FileTotals:
        """The totals of a job, with so many checksums."""
        ((files, size),) = await self._rows(_TOTALS, job=job)
        first = await self.page(job, digests) if files else []
        return FileTotals(files, int(size), tuple(one.sha256 for one in first))

    async def _rows(self, statement: Any, **parameters: object) -> Sequence[Sequence[Any]]:
        async with self._database.reading() as connection:
            return (await connection.execute(statement, parameters)).all()
