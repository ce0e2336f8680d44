"""Claims that hold for any server: the bytes of succeeded jobs, the reasons of others, and bounds."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator

from tests.lying.archives import members_of
from tests.lying.catalogue import FAULTS
from tests.lying.plan import ARCHIVES, PAGED, Fault, Plan
from tests.lying.remote import joined_of
from tests.lying.run import Ended, manifest_of
from tidewaiter.domain.job import State

_SOON_S = 3.0
_SOON_MOST = 10
_ALL_MOST = 150
_MOST_UNKNOWN = 5
_GONE = ("status-404", "status-410", "fails-for-now")


def broken(ended: Ended) -> list[str]:
    """Every claim that does not hold, as a sentence that begins with the kind of fault."""
    return [sentence for claim in _CLAIMS for sentence in claim(ended)]


def _bytes(ended: Ended) -> Iterator[str]:
    """A job that succeeded has exactly the bytes that a correct client gets."""
    if ended.job.state is not State.SUCCEEDED:
        return
    if ended.plan.shape in PAGED:
        yield from _joined(ended)
        return
    truth = list(ended.remote.truth)
    for artifact in ended.artifacts:
        data = ended.stored.get(artifact.name)
        fitting = next((one for one in truth if data in one[1] and _fits(one[0], artifact.label)), None)
        if fitting is None:
            yield f"wrong bytes: {artifact.name} ({artifact.label}) holds {_told(data)}"
        else:
            truth.remove(fitting)
    if ended.plan.shape in ARCHIVES:
        landed = {one.label: ended.stored.get(one.name) for one in ended.artifacts}
        if landed not in [dict(members_of(ended.plan, one)) for one in range(ended.remote.versions[0] + 1)]:
            yield "wrong bytes: the members are those of no one archive"
    for label, contents in truth:
        yield f"missing file: {label}, which is {_told(next(iter(contents)))}"


def _fits(label: str, artifact: str) -> bool:
    return label.removesuffix(".gz") == artifact.removesuffix(".gz")


def _told(data: bytes | None) -> str:
    return "nothing" if data is None else f"{len(data)} bytes, {data[:60]!r}"


def _joined(ended: Ended) -> Iterator[str]:
    if len(ended.artifacts) != 1:
        yield f"wrong bytes: {len(ended.artifacts)} files in place of one"
        return
    data, wanted = ended.stored.get(ended.artifacts[0].name, b""), joined_of(ended.plan)
    if isinstance(wanted, str):
        # Of no rows at all nothing is left to join but the header.
        if data.decode("utf-8", "replace") != wanted:
            yield f"wrong bytes: the joined pages are {_told(data)} in place of {wanted[:60]!r}, {len(wanted)} bytes"
        return
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if found != wanted:
        count = len(found) if isinstance(found, list) else "no list"
        yield f"wrong bytes: the joined pages hold {count} of {sum(ended.plan.pages)} items"


def _manifest(ended: Ended) -> Iterator[str]:
    """The manifest, the database and the disk say the same."""
    if ended.job.state is not State.SUCCEEDED:
        return
    listed = manifest_of(ended).get("artifacts")
    assert isinstance(listed, list | None)
    if listed is None:
        yield "manifest: there is none"
        return
    on_disk = {name: data for name, data in ended.stored.items() if name != "manifest.json"}
    told = {one["name"]: (one["size"], one["sha256"]) for one in listed}
    real = {name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in on_disk.items()}
    known = {one.name: (one.size, one.sha256) for one in ended.artifacts}
    if len(told) != len(listed):
        yield "manifest: it names a file twice"
    if told != known:
        yield f"manifest: {sorted(told)} there, {sorted(known)} in the database"
    if told != real:
        kind = "files of no list are left" if set(real) - set(told) else "it differs from the disk"
        yield f"manifest: {kind}: {sorted(real)} on the disk, {sorted(told)} in the manifest"


def _ends(ended: Ended) -> Iterator[str]:
    """The job ends; otherwise than with success only where a fault permits it, and with a reason that names it."""
    job, met = ended.job, ended.remote.met
    if job.state is State.SUCCEEDED:
        return
    if job.state is State.CANCELLED:
        if ended.plan.cancel_at is None:
            yield "end: cancelled by nobody"
        return
    if job.state not in (State.FAILED, State.PARKED, State.EXPIRED):
        yield f"end: after hours the job is still {job.state}: {job.reason}"
        return
    reason = (job.reason or "").lower()
    if len(reason) < 8:
        yield f"reason: {job.state} without one: {job.reason!r}"
    if not _permitted(ended):
        yield f"liveness: {job.state} though the server got well: {job.reason}"
    elif not any(re.search(FAULTS[fault.name].says, reason) for _, fault in met):
        yield f"reason: it names none of {sorted({fault.name for _, fault in met})}: {job.reason}"


def _permitted(ended: Ended) -> bool:
    plan, met = ended.plan, ended.remote.met
    unclear = plan.mode == "once" and not {"unclear", "maybe"}.isdisjoint(ended.remote.posts)
    # So many submits whose outcome is unknown are a matter for a person even where they may be repeated.
    unclear = unclear or sum(kind in ("submit", "answer") for kind, _ in met) >= _MOST_UNKNOWN
    unclear = unclear or any(clarity in ("unclear", "maybe") for _, clarity in ended.remote.starts)
    unclear = unclear or (plan.mode == "adopt" and any(kind == "adopt" for kind, _ in met))
    return unclear or any(_may_end(plan, kind, fault) for kind, fault in met)


def _may_end(plan: Plan, kind: str, fault: Fault) -> bool:
    if kind in ("cleanup", "cancel", "search"):
        return False
    if kind.startswith("file") and fault.name in ("status-401", "status-403"):
        # The provider's own refusal pauses the account, which a person resumes.
        return plan.files[int(kind.removeprefix("file"))].foreign
    return kind.rstrip("0123456789") in FAULTS[fault.name].fatal


def _asks(ended: Ended) -> Iterator[str]:
    """Nothing is asked for without bound, or again and again at once."""
    asked = ended.remote.asked
    if len(asked) > _ALL_MOST:
        yield f"requests: {len(asked)} of them"
    times: dict[str, list[float]] = {}
    for one in asked:
        if not one.kind.startswith("hop"):
            times.setdefault(f"{one.request.method} {one.kind}", []).append(one.at)
    for kind, row in times.items():
        most = max(sum(at <= other < at + _SOON_S for other in row) for at in row)
        if most > (_SOON_MOST + len(ended.plan.pages) if kind.endswith("page") else _SOON_MOST):
            yield f"requests: {most} times {kind} in {_SOON_S:.0f} s"


def _posts(ended: Ended) -> Iterator[str]:
    """A submit is never repeated blindly."""
    plan, posts = ended.plan, ended.remote.posts
    gone = sum(kind in ("poll", "inline", "start") and fault.name in _GONE for kind, fault in ended.remote.met)
    for one in posts[:-1]:
        if one == "unclear" and plan.mode == "once":
            yield f"posts: repeated after an unclear answer: {posts}"
        if one == "maybe" and plan.mode == "once" and not gone:
            yield f"posts: repeated after an answer that was hard to read: {posts}"
        if one == "accepted" and not gone:
            yield f"posts: repeated after it was accepted: {posts}"


def _bodies(ended: Ended) -> Iterator[str]:
    """Every submit that the provider read had the body that the spec describes."""
    for wrong in ended.remote.wrong_bodies:
        yield f"body: {wrong}"


def _starts(ended: Ended) -> Iterator[str]:
    """A remote job is never started blindly a second time."""
    starts = ended.remote.starts
    for at, (path, clarity) in enumerate(starts):
        if clarity != "refused" and any(later == path for later, _ in starts[at + 1 :]):
            yield f"starts: repeated after an answer that was {clarity}: {starts}"


def _secrets(ended: Ended) -> Iterator[str]:
    """No credential and no cookie of the provider goes to another host, into the log or to the disk."""
    for leak in ended.remote.leaks:
        yield f"leak: {leak} went to the other host"
    text = f"{ended.job.reason} {[entry.detail for entry in ended.history]}"
    if ended.remote.canary in text or "-secret" in text:
        yield f"leak: a secret in the job's history: {text}"


def _left(ended: Ended) -> Iterator[str]:
    """No descriptor stays open; of a job that succeeded no part is left."""
    for part in ended.parts:
        if part.startswith("open: ") or ended.job.state is State.SUCCEEDED:
            yield f"left behind: {re.sub('[0-9a-f]{16}', '...', part)}"


def _crashes(ended: Ended) -> Iterator[str]:
    """No step dies of a fault of ours."""
    crashed = Counter(entry.detail for entry in ended.history if entry.outcome == "Crashed")
    for detail in crashed:
        yield f"crash: {detail}"


_CLAIMS: tuple[Callable[[Ended], Iterator[str]], ...] = (
    _bytes, _manifest, _ends, _asks, _posts, _bodies, _starts, _secrets, _left, _crashes
)  # fmt: skip
