"""The stories that are cut: ways through the state table."""

from collections.abc import Mapping
from typing import Final

from tests.simulation.cuts.cut_world import HOOKS, People
from tests.simulation.cuts.explore import Story
from tests.simulation.cuts.export_provider import INLINE, spec
from tests.simulation.stub_world import ACCOUNT
from tidewaiter.services import DAEMON


async def _submit(people: People) -> None:
    await people.submit()


async def _submit_many(people: People) -> None:
    await people.submit(files=4)


async def _cancel(people: People) -> None:
    await people.jobs.cancel(people.world.asked_for[0], actor=DAEMON)


async def _poll_now(people: People) -> None:
    await people.jobs.poll_now(people.world.asked_for[0], actor=DAEMON)


async def _pause(people: People) -> None:
    await people.accounts.pause(ACCOUNT, "maintenance", actor=DAEMON)


async def _resume(people: People) -> None:
    await people.accounts.resume(ACCOUNT, actor=DAEMON)


async def _call_back(people: People) -> None:
    await people.call_back()


async def _retry(people: People) -> None:
    await people.jobs.retry(people.world.asked_for[0], actor=DAEMON)


async def _reload(people: People) -> None:
    people.world.poll_interval_s = 3.0
    await people.reload()


async def _forget_ended_jobs(people: People) -> None:
    people.world.tables = {**HOOKS, "retention": {"finished_days": 1e-6}}
    await people.reload()


_CALLBACKS: Final[dict[str, object]] = {"callbacks": {"listen": "127.0.0.1:8091", "public_url": "http://127.0.0.1:9"}}
# One tick, twenty seconds after the beginning.
_SCHEDULE: Final[dict[str, object]] = {"nightly": {"account": ACCOUNT, "operation": "export", "cron": "7 15 * * *"}}

STORIES: Final[Mapping[str, Story]] = {
    story.name: story
    for story in (
        Story("adoptable", spec("adoptable"), ((0.5, _submit),)),
        Story("repeatable", spec("repeatable"), ((0.5, _submit),), repeatable=True),
        Story("blind", spec("blind"), ((0.5, _submit),)),
        Story("many files", spec("adoptable"), ((0.5, _submit_many),)),
        Story("two jobs", spec("adoptable"), ((0.5, _submit), (0.6, _submit_many))),
        Story("cancel", spec("adoptable"), ((0.5, _submit), (8.0, _cancel))),
        Story("pause", spec("adoptable"), ((0.5, _submit), (3.0, _pause), (40.0, _resume))),
        Story("poll now", spec("adoptable"), ((0.5, _submit), (7.0, _poll_now))),
        Story("called back", spec("adoptable"), ((0.5, _submit), (20.0, _call_back)), tables=_CALLBACKS),
        Story("inline", spec("adoptable", INLINE), ((0.5, _submit),), inline=True),
        Story("retry", spec("adoptable"), ((0.5, _submit), (8.0, _cancel), (60.0, _retry))),
        Story("schedule", spec("adoptable"), (), tables={"schedules": _SCHEDULE}, ticks=1),
        Story("resumed", spec("adoptable"), ((0.5, _submit_many),), breaks=True),
        Story("reload", spec("adoptable"), ((0.5, _submit), (7.0, _reload))),
        Story("clean", spec("adoptable"), ((0.5, _submit),), cleans=True),
        Story(
            "retention",
            spec("adoptable"),
            ((0.5, _submit), (60.0, _forget_ended_jobs)),
            purges=True,
            cleans=True,
            tables=dict(HOOKS),
        ),
        Story("notify", spec("adoptable"), ((0.5, _submit),), tables=dict(HOOKS)),
    )
}
