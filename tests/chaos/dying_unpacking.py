"""A daemon that kills itself with SIGKILL while it unpacks: ``python -m tests.chaos.dying_unpacking MOMENT``."""

import os
import signal
import sys
from typing import Final

from tidewaiter.cli.main import main
from tidewaiter.storage.base import Landed
from tidewaiter.storage.folder import LocalLanding, LocalStorage

MOMENTS: Final = (
    "in the first member",
    "between members",
    "in the last member",
    "before the archive is removed",
    "before the manifest",
    "after the manifest",
)
MEMBERS: Final = 3


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _DyingStorage:
    """The methods of the storage, each with an end before or after it; members are counted as they land."""

    write = LocalLanding.write
    finish = LocalLanding.finish
    put = LocalStorage.put
    remove = LocalStorage.remove
    members = 0
    writes = 0


def prepare(moment: str) -> None:  # noqa: C901  # one function for each method that is replaced
    """Let this process die at that moment."""

    async def write(self: LocalLanding, chunk: bytes) -> None:
        if _is_archive(self._key):
            await _DyingStorage.write(self, chunk)
            return
        _DyingStorage.writes += 1
        at = {"in the first member": 0, "in the last member": MEMBERS - 1}.get(moment)
        if at == _DyingStorage.members and _DyingStorage.writes > 1:
            await self._flush()
            _die()
        await _DyingStorage.write(self, chunk)

    async def finish(
        self: LocalLanding, *, sha256: str | None = None, size: int | None = None, md5: str | None = None
    ) -> Landed:
        landed = await _DyingStorage.finish(self, sha256=sha256, size=size, md5=md5)
        if not _is_archive(self._key):
            _DyingStorage.members, _DyingStorage.writes = _DyingStorage.members + 1, 0
            if moment == "between members":
                _die()
        return landed

    async def put(self: LocalStorage, key: str, content: bytes) -> Landed:
        if moment == "before the manifest":
            _die()
        landed = await _DyingStorage.put(self, key, content)
        if moment == "after the manifest":
            _die()
        return landed

    async def remove(self: LocalStorage, key: str) -> None:
        if moment == "before the archive is removed" and _is_archive(key):
            _die()
        await _DyingStorage.remove(self, key)

    LocalLanding.write = write  # type: ignore[method-assign]
    LocalLanding.finish = finish  # type: ignore[method-assign]
    LocalStorage.put = put  # type: ignore[method-assign]
    LocalStorage.remove = remove  # type: ignore[method-assign]


def _is_archive(key: str) -> bool:
    return key.rpartition("/")[2].startswith("_archive-")


if __name__ == "__main__":
    prepare(sys.argv.pop(1))
    main()
