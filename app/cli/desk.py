"""The desk as a command uses it: opened on the configuration of the invocation, quiet, and closed again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.bootstrap import open_desk
from app.cli.session import Session
from app.config import Config
from app.desk import Desk


@asynccontextmanager
async def at_desk(session: Session) -> AsyncIterator[tuple[Desk, Config]]:
    """The desk and the configuration that it is for; raises what reading the one and opening the other raise."""
    config = session.load()
    with session.log(config) as log:
        async with open_desk(config, log) as desk:
            yield desk, config
