"""Which file of a step may begin beside the others."""

import asyncio

from tidewaiter.worker.file_slots import FileQueue, FileSlots, HostShares

A, B, OWN = "https://a.example.com:443", "https://b.example.com:443", ""


async def begun(shares: HostShares, host: str, most: int = 99) -> int:
    """How many files of a host begin."""
    count = 0
    while count < most and shares.may_begin() and shares.has_room(host):
        await shares.begin(host)
        count += 1
    return count


async def test_a_host_serves_one_file_alone_first() -> None:
    """Then six at once; a failure brings it back to one. Another host does not wait for that."""
    shares = HostShares(FileSlots(asyncio.Semaphore(20), own=2), one_by_one=False)
    assert (await begun(shares, A), await begun(shares, B), await begun(shares, OWN)) == (1, 1, 1)
    shares.end(A, served=True)
    assert await begun(shares, A) == 6
    shares.end(OWN, served=True)
    assert await begun(shares, OWN) == 2
    shares.end(A, served=False)
    assert await begun(shares, A) == 0


async def test_more_files_leave_a_slot_to_whoever_waits() -> None:
    """The slots are never exceeded, and a job that waits for one gets the next."""
    free = asyncio.Semaphore(3)
    await free.acquire()  # by the step
    shares = HostShares(FileSlots(free, own=9), one_by_one=False)
    await shares.begin(A)
    shares.end(A, served=True)
    assert await begun(shares, A) == 3
    other = asyncio.create_task(free.acquire())
    await asyncio.sleep(0)
    assert not other.done()
    shares.end(A, served=True)
    assert await begun(shares, A) == 0
    assert await other
    shares.end(A, served=True)
    shares.end(A, served=True)
    free.release()
    assert await begun(shares, A) == 3
    for _ in range(3):
        shares.end(A, served=True)
    assert [free.locked() or await free.acquire() for _ in range(2)] == [True, True]
    assert free.locked()


async def test_without_slots_one_after_the_other() -> None:
    """And so do the archives of a list, whose members are numbered in order."""
    for shares in (HostShares(None, one_by_one=False), HostShares(FileSlots(asyncio.Semaphore(9), 9), one_by_one=True)):
        assert await begun(shares, A) == 1
        shares.end(A, served=True)
        assert (await begun(shares, A), await begun(shares, B)) == (1, 0)


async def test_a_host_that_does_not_answer_keeps_no_other_waiting() -> None:
    """However many of its files come first in the list."""
    queue: FileQueue[int] = FileQueue()
    for number in range(1000):
        queue.add(number, A)
    queue.add(1000, B)
    queue.add(1001, B)
    shares = HostShares(FileSlots(asyncio.Semaphore(20), own=2), one_by_one=False)
    assert queue.take(shares.has_room) == (0, A)
    await shares.begin(A)
    assert queue.take(shares.has_room) == (1000, B)
    await shares.begin(B)
    assert queue.take(shares.has_room) is None
    shares.end(B, served=True)
    assert queue.take(shares.has_room) == (1001, B)


def test_files_are_taken_in_the_order_of_the_list() -> None:
    """Each once, whatever its host."""
    queue: FileQueue[int] = FileQueue()
    for number in range(300):
        queue.add(number, (A, B, OWN)[number * number % 3])
    taken = []
    while queue:
        found = queue.take(lambda _host: True)
        assert found is not None
        taken.append(found[0])
    assert taken == list(range(300))
    assert queue.take(lambda _host: True) is None
