"""Reconciling: which remote job did a submit make, or meet, whose reply did not name it?"""

from app.clock import Clock
from app.domain import outcome as o
from app.domain.address import shown_handle
from app.domain.job import LIVE, Job
from app.domain.schedule import Policy
from app.providers.adoption import Adoption
from app.store.jobs import JobStore
from app.worker.pages import Walk

_MOST_MATCHES = 1000
_NAMED = 5
_SHORTEST_WAIT_S = 1.0


class Reconciler:
    """Finds remote jobs in the provider's own list.

    Args:
        jobs: knows which of them other jobs of ours follow, or have followed.
        clock: the time; the list may lag behind the submit for a while.
    """

    def __init__(self, jobs: JobStore, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def find(self, job: Job, adoption: Adoption, policy: Policy, walk: Walk) -> o.Outcome:
        """Look for the job's remote job in every page of the list.

        That a list lacks the remote job does not prove that there is none: the list may lag behind the submit.
        """
        found = await walk.matches(adoption, _MOST_MATCHES)
        if isinstance(found, o.Refused | o.LinksExpired):
            return o.Undecidable(f"the remote job cannot be looked up: {found.reason}")
        if isinstance(found, o.NotYet):
            return o.Retry(found.reason, found.retry_after_s)
        if not isinstance(found, set):
            return found
        possible = await self._possible(job, sorted(found), policy)
        if len(possible) == 1:
            return o.Adopted(possible[0])
        if possible:
            named = ", ".join(map(shown_handle, possible[:_NAMED])) + (" ..." if len(possible) > _NAMED else "")
            return o.Undecidable(f"{len(possible)} remote jobs could be it: {named}")
        return self._absent(job, adoption)

    def _absent(self, job: Job, adoption: Adoption) -> o.Outcome:
        since = max(job.intent_at or 0.0, job.submitted_at or 0.0)
        left_s = since + adoption.lag_s - self._clock.now()
        if left_s > 0:
            wait_s = max(_SHORTEST_WAIT_S, min(left_s, adoption.lag_s / 4))
            return o.Retry("the provider's list does not have the remote job yet", wait_s)
        reason = f"{adoption.lag_s:.0f} s after the submit the provider's list does not have the remote job"
        return o.Undecidable(reason) if adoption.parks else o.Absent(reason)

    async def _possible(self, job: Job, handles: list[str], policy: Policy) -> list[str]:
        """Those that can be the job's own; one that another job of ours follows can be only where the provider shares.

        Many lists keep the remote jobs of our ended jobs. They are passed over, unless the provider has said that there
        is one, and there is no other.
        """
        unknown, followed, ended = [], [], []
        for handle in handles:
            followers = await self._jobs.followers_of(job, handle)
            if not followers:
                unknown.append(handle)
            elif any(follower.state in LIVE for follower in followers):
                followed.append(handle)
            else:
                ended.append(handle)
        if not policy.shares:
            return unknown
        return unknown + followed or (ended if job.shared else [])
