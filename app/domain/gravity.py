"""What a download of several files comes to: the gravest outcome of its files, wherever it stands in the list.

From the gravest to the lightest:

====================  ==============================================  ===========================  ===================
outcome               concerns                                        the other files              charged to the job
====================  ==============================================  ===========================  ===================
``StorageFull``       the storage, and so every job                   are not asked for            no
``Unauthorized``      the account                                     only from other origins      no
``Throttled``         the account                                     only from other origins      no
``Refused``           the job, which cannot succeed any more          are not asked for            it ends
``LinksExpired``      the links, which must be asked for again        are asked for                as the table has it
``Retry``             the file                                        are asked for                yes, unless progress
``NotYet``            the file, which comes later                     are asked for                no
====================  ==============================================  ===========================  ===================

A failure of the account comes before a refusal: it may be why a file was refused, and a job that waits loses nothing.
"""

from collections.abc import Iterable
from dataclasses import replace

from app.domain import outcome as o

_ORDER: tuple[type[o.Outcome], ...] = (
    o.StorageFull,
    o.Unauthorized,
    o.Throttled,
    o.Refused,
    o.LinksExpired,
    o.Retry,
    o.NotYet,
)
_ENDS = (o.StorageFull, o.Refused)
_OF_ACCOUNT = (o.Unauthorized, o.Throttled)


def gravest(outcomes: Iterable[o.Outcome], *, landed: bool = False) -> o.Outcome | None:
    """The outcome of a step whose files ended like this; ``None`` where there is none.

    Of several of one kind the first is taken. A ``Retry`` or ``NotYet`` waits as long as any file of these two kinds
    was asked to wait for, and a ``Retry`` or ``LinksExpired`` has progressed where any file has.

    Args:
        outcomes: of the files that did not land. A kind that is not in the table comes before all that are.
        landed: whether other files landed meanwhile.
    """
    every = list(outcomes)
    if not every:
        return None
    first = min(every, key=lambda one: _ORDER.index(type(one)) if type(one) in _ORDER else -1)
    waits = [one.retry_after_s for one in every if isinstance(one, o.Retry | o.NotYet)]
    wait_s = max((wait for wait in waits if wait is not None), default=None)
    progressed = landed or any(isinstance(one, o.Retry | o.LinksExpired) and one.progressed for one in every)
    if isinstance(first, o.Retry):
        return replace(first, retry_after_s=wait_s, progressed=progressed)
    if isinstance(first, o.NotYet):
        return replace(first, retry_after_s=wait_s)
    if isinstance(first, o.LinksExpired):
        return replace(first, progressed=progressed)
    return first


def ends_download(outcome: o.Outcome) -> bool:
    """Whether this outcome of one file ends the download of the others."""
    return isinstance(outcome, _ENDS) or type(outcome) not in _ORDER


def closes_account(outcome: o.Outcome) -> bool:
    """Whether the provider's own origin must not be asked again after this outcome of one file."""
    return isinstance(outcome, _OF_ACCOUNT)
