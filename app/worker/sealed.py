"""Opens the links that were encrypted when they were stored."""

from functools import partial
from typing import Final

from app.domain import outcome as o
from app.domain.job import Job
from app.domain.wire import SealedLinks
from app.log import EventLog
from app.store.sealing import Seal
from app.worker.reading import in_time

_UNREADABLE: Final = (
    "the stored links to the files cannot be decrypted: database.key_file lacks the key that encrypted them"
)


async def opened(job: Job, seal: Seal, log: EventLog) -> Job | o.LinksLost:
    """The job with links that can be asked for; ``LinksLost`` where no key of now decrypts them."""
    if not isinstance(job.links, SealedLinks):
        return job
    links = await in_time(len(job.links.text), partial(seal.links, job.links))
    if links is not None:
        return job.but(links=links)
    log.emit("links.unreadable", job=job.id, account=job.account, operation=job.operation, reason=_UNREADABLE)
    return o.LinksLost(_UNREADABLE)
