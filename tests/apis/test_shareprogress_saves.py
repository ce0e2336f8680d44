"""ShareProgress saves whose outcome is unknown: looked up, or parked for a person, never repeated."""

from pathlib import Path
from typing import Any

import pytest

from tests.apis.shareprogress_api import KEY, NEW_PAGE, PAGE_URL, Scenario, run_scenario
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

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(f"{noun}_update", InjectedFault(FaultKind.RESET_AFTER))
        async with scenario.environment.daemon():
            job = await scenario.environment.run(operation, params)
        assert job.state is State.SUCCEEDED
        assert scenario.asked() == [f"{noun}_update", f"{noun}_index", f"{noun}_read"]
        envelope = await scenario.landed(job)
        assert str(envelope["response"][0]["id"]) == job.handle
        assert len(scenario.api.library.wrappers) + sum(map(len, scenario.api.library.shared.values())) == 7

    run_scenario(template, story)


@pytest.mark.parametrize("kind", [FaultKind.HTML, FaultKind.MALFORMED, FaultKind.TRUNCATE, FaultKind.UNAVAILABLE])
def test_a_reply_that_tells_nothing(template: Path, kind: FaultKind) -> None:
    """A page of HTML, broken JSON or an outage may hide a save that was made: it is looked up, not repeated."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(kind, status=502))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
        made = scenario.titles().count("Reef")
        assert scenario.api.count("page_update") == 1
        assert job.state is (State.SUCCEEDED if made else State.PARKED)
        assert made == (kind in {FaultKind.MALFORMED, FaultKind.TRUNCATE})

    run_scenario(template, story)


def test_power_lost_between_a_save_and_its_record(template: Path) -> None:
    """The daemon dies while the page is scraped: the next one finds the page, and makes no second one."""

    async def story(scenario: Scenario) -> None:
        async with scenario.environment.daemon(is_cut=True):
            job = await scenario.environment.submit("page_create", NEW_PAGE)
            await scenario.environment.clock.sleep(15)
        assert scenario.titles().count("Reef") == 1
        async with scenario.environment.daemon():
            ended = await scenario.environment.ended(job)
        assert ended.state is State.SUCCEEDED
        assert scenario.api.count("page_update") == scenario.titles().count("Reef") == 1

    run_scenario(template, story, scrape_s=30.0)


def test_an_index_that_lags(template: Path) -> None:
    """For two minutes the index may lack what was just made: it is looked at again before anybody is asked."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
        assert job.state is State.SUCCEEDED
        assert scenario.api.count("page_update") == 1
        assert scenario.api.count("page_index") > 1

    run_scenario(template, story, index_lag_s=60.0)


def test_found_on_a_later_part_of_the_index(template: Path) -> None:
    """Every part of the index is looked at."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
        assert job.state is State.SUCCEEDED
        assert scenario.asked() == ["page_update", *["page_index"] * 3, "page_read"]

    run_scenario(template, story, pages=120)


def test_a_save_that_never_arrived(template: Path) -> None:
    """It is not in the index, which proves little: a person decides, and may say that it is to be made again."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.RESET_BEFORE))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
            assert job.state is State.PARKED
            assert scenario.api.count("page_update") == 1
            assert "Reef" not in scenario.titles()
            assert scenario.environment.events("job.parked")
            await scenario.environment.service.retry(job.id, actor=DAEMON)
            await scenario.environment.clock.sleep(30)
            ended = await scenario.environment.ended(job)
        assert ended.state is State.SUCCEEDED
        assert scenario.titles().count("Reef") == 1

    run_scenario(template, story)


def test_twins_are_a_matter_for_a_person(template: Path) -> None:
    """Two pages of that URL and title stand in the index: nobody can tell which is ours, and the job says which two."""

    async def story(scenario: Scenario) -> None:
        scenario.api.library.save(ShareKind.PAGES, NEW_PAGE, None, scenario.environment.clock.now())
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_create", NEW_PAGE)
        assert job.state is State.PARKED
        assert "13" in (job.reason or "")
        assert "14" in (job.reason or "")
        assert scenario.api.count("page_update") == 1

    run_scenario(template, story)


@pytest.mark.parametrize("noun", ["page", "button"])
def test_a_lost_update_is_not_repeated(template: Path, noun: str) -> None:
    """A variant without an id would be added twice: where the reply to an update got lost, a person decides."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add(f"{noun}_update", InjectedFault(FaultKind.RESET_AFTER))
        variants = {"twitter": [{"twitter_message": "New {LINK}"}]}
        async with scenario.environment.daemon():
            job = await scenario.environment.run(f"{noun}_update", {"id": 10, "variants": variants})
        assert (job.state, scenario.asked()) == (State.PARKED, [f"{noun}_update"])

    run_scenario(template, story)


def test_a_lost_deletion_is_found_done(template: Path) -> None:
    """A deletion is repeated; the second one finds nothing, and says that the first may have worked."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_delete", InjectedFault(FaultKind.RESET_AFTER))
        async with scenario.environment.daemon():
            job = await scenario.environment.run("page_delete", {"id": 10})
        assert job.state is State.FAILED
        assert "a deletion before this one has worked" in (job.reason or "")
        assert scenario.api.count("page_delete") == 2
        assert 10 not in scenario.api.library.shared[ShareKind.PAGES]

    run_scenario(template, story)


def test_a_bad_key_while_looking(template: Path) -> None:
    """The key is revoked right after the save: the job waits, and is found when the key is good again."""

    async def story(scenario: Scenario) -> None:
        scenario.api.faults.add("page_update", InjectedFault(FaultKind.RESET_AFTER))
        scenario.api.faults.add("page_index", InjectedFault(FaultKind.REVOKED))
        async with scenario.environment.daemon():
            job = await scenario.environment.submit("page_create", NEW_PAGE)
            await scenario.environment.clock.sleep(60)
            assert scenario.environment.events("account.refused")
            scenario.api.key = KEY
            await scenario.environment.resume()
            ended = await scenario.environment.ended(job)
        assert ended.state is State.SUCCEEDED
        assert scenario.titles().count("Reef") == 1
        assert scenario.api.library.shared[ShareKind.PAGES][13].page_url == PAGE_URL

    run_scenario(template, story)
