"""A daemon at full rate for a long time: ``python -m tests.chaos.soak SECONDS``. Fails when it grows by 5 %.

Jobs are added as fast as they end. Each tenth of the time has a mean of every figure; the third is compared with the
last, because caches fill at first.
"""

import asyncio
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Final

from tests.chaos.daemon_processes import drain
from tests.chaos.marked_provider import SPEC, marked_provider
from tests.support.scripted_provider import config_for
from tidewaiter.clock import SystemClock
from tidewaiter.database import migrate
from tidewaiter.database.engine import Database
from tidewaiter.database.job_store import JobStore
from tidewaiter.database.lane_store import LaneStore
from tidewaiter.domain.job import NewJob, State

_MOST_DRIFT: Final = 0.05
_LIVE: Final = 30
_SAMPLES: Final = 200
_GRACE_S: Final = 120.0
_SCHEDULE: Final = 'schedule = { first_delay_s = 0.1, interval_s = 0.3, cap_s = 0.5 }\n[log]\nlevel = "warning"\n'


def _figures(pid: int) -> dict[str, float]:
    """Memory in MiB, descriptors and threads of a process."""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return {
        "MiB": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir()),
        "threads": int(status["Threads"]),
    }


async def _feed(store: JobStore, lane: int) -> None:
    """Keep some jobs live."""
    number = 0
    while True:
        counts = await store.counts()
        live = sum(count for state, count in counts.items() if state is not State.SUCCEEDED)
        for _ in range(max(0, _LIVE - live)):
            number += 1
            await store.add(NewJob("shop", "report", {"marker": f"m{number}"}, 3600.0), lane, SystemClock().now())
        await asyncio.sleep(0.2)


async def soak(folder: Path, seconds: float) -> list[str]:
    """Run it; the sentences say what drifted."""
    url = f"sqlite:///{folder}/jobs.db"
    await asyncio.to_thread(migrate.upgrade, url)
    async with marked_provider() as provider:
        config_for(folder, SPEC, provider.url, url, _SCHEDULE)
        database = Database.open(url, SystemClock())
        store, lanes = JobStore(database), LaneStore(database)
        await lanes.ensure({"shop": 1})
        feeding = asyncio.create_task(_feed(store, (await lanes.ids("shop"))[0]))
        daemon = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tidewaiter.cli.main", "--config", str(folder / "tidewaiter.toml"), "serve"
        )
        samples = []
        for _ in range(_SAMPLES):
            await asyncio.sleep(seconds / _SAMPLES)
            ended = (await store.counts()).get(State.SUCCEEDED, 0)
            samples.append({**_figures(daemon.pid), "jobs": float(ended)})
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding
        drifts = _drifts(samples)
        print(f"{samples[-1]['jobs']:.0f} jobs in {seconds:.0f} s")  # noqa: T201
        code = await drain(daemon, _GRACE_S)
        await database.close()
    if code != 0:
        drifts.append(f"the exit code is {code}")
    twice = [marker for marker, number in provider.posts.items() if number > 1]
    return drifts + ([f"{len(twice)} markers were posted twice"] if twice else [])


def _drifts(samples: Sequence[Mapping[str, float]]) -> list[str]:
    """Print what was measured in the third tenth of the time and in the last; what has grown."""
    tenth, drifts = len(samples) // 10, []
    for name in ("MiB", "descriptors", "threads"):
        first = fmean(one[name] for one in samples[2 * tenth : 3 * tenth])
        last = fmean(one[name] for one in samples[-tenth:])
        print(f"{name}: {first:.1f} in the third tenth, {last:.1f} in the last: {last / first - 1:+.1%}")  # noqa: T201
        if last > first * (1 + _MOST_DRIFT):
            drifts.append(f"{name} grew by {last / first - 1:.1%}")
    return drifts


def main() -> int:
    """The command."""
    with tempfile.TemporaryDirectory(prefix="tidewaiter-soak-") as folder:
        drifts = asyncio.run(soak(Path(folder), float(sys.argv[1])))
    for drift in drifts:
        print(drift)  # noqa: T201
    return 1 if drifts else 0


if __name__ == "__main__":
    sys.exit(main())
