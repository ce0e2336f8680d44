"""A daemon that kills itself with SIGKILL at one moment of a renewal: ``python -m tests.chaos.dying_daemon MOMENT``."""

import os
import signal
import sys

from tidewaiter.cli.main import main
from tidewaiter.database.refresh_token_store import Beginning, RefreshTokenStore

MOMENTS = ("before mark", "after mark", "after departure", "after reply", "after commit")


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _DyingStore:
    """The methods of the store, with an end before or after one of them."""

    begin = RefreshTokenStore.begin
    depart = RefreshTokenStore.depart
    finish = RefreshTokenStore.finish


def prepare(moment: str) -> None:
    """Let this process die at that moment."""

    async def begin(self: RefreshTokenStore, account: str, configured: str, *, reuse: bool) -> Beginning:
        if moment == "before mark":
            _die()
        begun = await _DyingStore.begin(self, account, configured, reuse=reuse)
        if moment == "after mark":
            _die()
        return begun

    async def depart(self: RefreshTokenStore, account: str, version: int) -> bool:
        departed = await _DyingStore.depart(self, account, version)
        if moment == "after departure":
            _die()
        return departed

    async def finish(self: RefreshTokenStore, account: str, version: int, token: str | None) -> bool:
        if moment == "after reply":
            _die()
        ended = await _DyingStore.finish(self, account, version, token)
        if moment == "after commit":
            _die()
        return ended

    RefreshTokenStore.begin = begin  # type: ignore[method-assign]
    RefreshTokenStore.depart = depart  # type: ignore[method-assign]
    RefreshTokenStore.finish = finish  # type: ignore[method-assign]


if __name__ == "__main__":
    prepare(sys.argv.pop(1))
    main()
