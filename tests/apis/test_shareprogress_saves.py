"""ShareProgress's saves, whose outcome may be lost: looked up, else left to a person, and never repeated blindly."""

from pathlib import Path
from typing import Any

import pytest

from tests.apis.shareprogress_api import KEY, NEW_PAGE, PAGE_URL, Told, tell
from tidewaiter.domain.job import State
from tidewaiter.emulators.controls import FaultKind, InjectedFault
from tidewaiter.emulators.shareprogress_library import ShareKind
from tidewaiter.services import DAEMON

_NEW_BUTTON = {**NEW_PAGE, "button_template": "sp_fb_large"}


@pytest.mark.parametrize(
    ("operation", "params", "noun"),
    [
        ("page_create", NEW_PAGE, "page"),
        ("button_create", _NEW_BUTTON, "button"),
        ("wrapper_create", {"name": "Plain", "html": "{SHAREACTION}"}, "wrapper"),
    ],
)
def test_a_lost_reply_is_looked_up(template: Path, operation: str, params: dict[str, Any], noun: str) -> None:
    """The save was made and its reply got lost: it is found in the index and read, and there is one of it."""

    async def story(told: Told) -> None:
        told.api.faults.add(f"{noun}_update", InjectedFault(FaultKind.RESET_AFTER))
        async with told.stage.daemon():
            job = await told.stage.run(operation, params)
        assert job.state is State.SUCCEEDED
        assert told.asked() == [f"{noun}_update", f"{noun}_index", f"{noun}_read"]
        envelope = await told.landed(job)
        assert str(envelope["response"][0]["id"]) == job.handle
        assert len(told.api.library.wrappers) + sum(map(len, told.api.library.shared.values())) == 7

    tell(template, story)


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.MALFORMED, FaultKind.TRUNCATE, FaultKind.UNAVAILABLE])
def test_a_reply_that_tells_nothing(template: Path, kind: FaultKind) -> None:
    """A page of HTML, broken JSON or an outage may hide a save that was made: it is looked up, not repeated."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_update", InjectedFault(kind, status=502))
        async with told.stage.daemon():
            job = await told.stage.run("page_create", NEW_PAGE)
        made = told.titles().count("Reef")
        assert told.api.count("page_update") == 1
        assert job.state is (State.SUCCEEDED if made else State.PARKED)
        assert made == (kind in {FaultKind.MALFORMED, FaultKind.TRUNCATE})

    tell(template, story)


def test_power_lost_between_a_save_and_its_record(template: Path) -> None:
    """The daemon dies while the page is scraped: the next one finds the page, and makes no second one."""

    async def story(told: Told) -> None:
        async with told.stage.daemon(is_cut=True):
            job = await told.stage.submit("page_create", NEW_PAGE)
            await told.stage.clock.sleep(15)
        assert told.titles().count("Reef") == 1
        async with told.stage.daemon():
            ended = await told.stage.ended(job)
        assert ended.state is State.SUCCEEDED
        assert told.api.count("page_update") == told.titles().count("Reef") == 1

    tell(template, story, scrape_s=30.0)


def test_an_index_that_lags(template: Path) -> None:
    """For two minutes the index may lack what was just made: it is looked at again before anybody is asked."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with told.stage.daemon():
            job = await told.stage.run("page_create", NEW_PAGE)
        assert job.state is State.SUCCEEDED
        assert told.api.count("page_update") == 1
        assert told.api.count("page_index") > 1

    tell(template, story, index_lag_s=60.0)


def test_found_on_a_later_part_of_the_index(template: Path) -> None:
    """Every part of the index is looked at."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with told.stage.daemon():
            job = await told.stage.run("page_create", NEW_PAGE)
        assert job.state is State.SUCCEEDED
        assert told.asked() == ["page_update", *["page_index"] * 3, "page_read"]

    tell(template, story, pages=120)


def test_a_save_that_never_arrived(template: Path) -> None:
    """It is not in the index, which proves little: a person decides, and may say that it is to be made again."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_update", InjectedFault(FaultKind.RESET_BEFORE))
        async with told.stage.daemon():
            job = await told.stage.run("page_create", NEW_PAGE)
            assert job.state is State.PARKED
            assert told.api.count("page_update") == 1
            assert "Reef" not in told.titles()
            assert told.stage.events("job.parked")
            await told.stage.desk.retry(job.id, actor=DAEMON)
            await told.stage.clock.sleep(30)
            ended = await told.stage.ended(job)
        assert ended.state is State.SUCCEEDED
        assert told.titles().count("Reef") == 1

    tell(template, story)


def test_twins_are_a_matter_for_a_person(template: Path) -> None:
    """Two pages of that URL and title stand in the index: nobody can tell which is ours, and the job says which two."""

    async def story(told: Told) -> None:
        told.api.library.save(ShareKind.PAGES, NEW_PAGE, None, told.stage.clock.now())
        told.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with told.stage.daemon():
            job = await told.stage.run("page_create", NEW_PAGE)
        assert job.state is State.PARKED
        assert "13" in (job.reason or "")
        assert "14" in (job.reason or "")
        assert told.api.count("page_update") == 1

    tell(template, story)


@pytest.mark.parametrize("noun", ["page", "button"])
def test_a_lost_update_is_not_repeated(template: Path, noun: str) -> None:
    """A variant without an id would be added twice: where the reply to an update got lost, a person decides."""

    async def story(told: Told) -> None:
        told.api.faults.add(f"{noun}_update", InjectedFault(FaultKind.RESET_AFTER))
        variants = {"twitter": [{"twitter_message": "New {LINK}"}]}
        async with told.stage.daemon():
            job = await told.stage.run(f"{noun}_update", {"id": 10, "variants": variants})
        assert (job.state, told.asked()) == (State.PARKED, [f"{noun}_update"])

    tell(template, story)


def test_a_lost_deletion_is_found_done(template: Path) -> None:
    """A deletion is repeated; the second one finds nothing, and says that the first may have worked."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_delete", InjectedFault(FaultKind.RESET_AFTER))
        async with told.stage.daemon():
            job = await told.stage.run("page_delete", {"id": 10})
        assert job.state is State.FAILED
        assert "a deletion before this one has worked" in (job.reason or "")
        assert told.api.count("page_delete") == 2
        assert 10 not in told.api.library.shared[ShareKind.PAGES]

    tell(template, story)


def test_a_bad_key_while_looking(template: Path) -> None:
    """The key is revoked right after the save: the job waits, and is found when the key is good again."""

    async def story(told: Told) -> None:
        told.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        told.api.faults.add("page_index", InjectedFault(FaultKind.REVOKED))
        async with told.stage.daemon():
            job = await told.stage.submit("page_create", NEW_PAGE)
            await told.stage.clock.sleep(60)
            assert told.stage.events("account.refused")
            told.api.key = KEY
            await told.stage.resume()
            ended = await told.stage.ended(job)
        assert ended.state is State.SUCCEEDED
        assert told.titles().count("Reef") == 1
        assert told.api.library.shared[ShareKind.PAGES][13].page_url == PAGE_URL

    tell(template, story)
