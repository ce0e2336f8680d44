"""The screen of ``top``: columns line up, nothing is wider than the screen, no control characters get through."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console, RenderableType

from tests.cli.sample_dashboards import LEASE_S, NOW, busy, job, lane, minutes, snapshot
from tidewaiter.cli.top import top_json
from tidewaiter.cli.top_view import TopState, bar, fitting, shares, sparkline, whole
from tidewaiter.database.dashboard_store import Arrival
from tidewaiter.database.notification_store import EndpointBacklog
from tidewaiter.domain.formatting import rfc3339
from tidewaiter.domain.job import State
from tidewaiter.web.api.body_schemas import BacklogShape, OverviewShape

HOSTILE = "\x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\r\n\t\x9b31m\u202e[bold]markup[/bold]" + "x" * 5000
_FOR_TERMINALS = re.compile(r"\x1b\[[0-9;]*m")


def shown(what: RenderableType, width: int, height: int = 50) -> list[str]:
    """The lines as they would stand on a terminal of that size, without colours."""
    console = Console(width=width, height=height, force_terminal=True, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(what)
    return _FOR_TERMINALS.sub("", captured.get()).splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (132, 43), (240, 70), (40, 12), (20, 5), (5, 2)])
def test_it_fits(width: int, height: int) -> None:
    """Whatever the size, no line is wider than the screen; from 80 by 24 on, no line is below it either."""
    lines = shown(fitting(busy(), width, height), width, height)
    assert max(map(len, lines)) <= width
    if width >= 80:
        assert len(lines) == height
        assert lines[-1].startswith("q ends it")


def test_a_usual_terminal() -> None:
    """On 80 by 24 each part has its place, and what does not fit is counted."""
    lines = [line.rstrip() for line in shown(fitting(busy(), 80, 24), 80)]
    assert lines[:4] == [
        "tidewaiter top  sqlite:///tidewaiter.db                             14:13:20 UTC",
        "1 daemon  tide-1:4711 (0.3.0, up 3 h, seen 2 s ago)",
        "jobs  1,204 polling  1 parked  88,120 succeeded",
        "landed  ▃▆▄▅▆▄█▃▆▄▅▆▄█▃▆▄▅▆▄  174/h, 2.4/min now · delay p50 4.1 s, p95 6.5 s",
    ]
    assert lines[5:8] == [
        "lanes · 4 of 6",
        "lane      requests        due  late   live  status",
        "networks  ░░░░░░░░ 0/30     0     -  1,204  throttled, 42 s left: HTTP 429 with…",
    ]
    assert "in trouble" in lines
    assert "landed lately · 4 of 20" in lines
    assert "900  newsletter  statistics  1.2 MB  30 s  type=OPENS  OPENS-0.json" in lines
    assert "job  account     operation   status   age  parameters  details" in lines


@pytest.mark.parametrize(
    ("account", "operation"),
    [("newsletter-of-the-north", "statistics-by-campaign"), ("a" * 38, "b" * 30), ("shop", "o" * 60)],
)
def test_names_that_are_typed_are_whole(account: str, operation: str) -> None:
    """At 80 columns other columns give way to the number, the account and the operation of a job, and to a lane."""
    named = job(1_234_567, account=account, operation=operation, reason="the provider refused it: 422 unknown period")
    seen = snapshot(
        arrivals=[Arrival(named, 2, 1_234_567, "OPENS-1.json")], parked=[], failures=[replace(named, id=7_654_321)]
    )
    lanes = [lane(account, shard=12, due=2_400, late_s=95.0), lane(account)]
    lines = shown(fitting(busy(snapshot=seen, lanes=lanes), 80, 24), 80)
    assert max(map(len, lines)) <= 80
    for number in ("1234567", "7654321"):
        (line,) = [one.split() for one in lines if number in one]
        assert line[:3] == [number, account, operation]
    assert any(line.split()[0] == f"{account}/{lanes[0].id}" for line in lines if line.strip())


def test_a_remedy_is_whole() -> None:
    """Why the database cannot be used is told in as many lines as needed, with the command that helps."""
    trouble = "The schema of postgresql://tidewaiter@db.internal/tidewaiter is old: run `tidewaiter db upgrade` first."
    lines = shown(fitting(busy(trouble=trouble), 80, 24), 80, 24)
    assert len(lines) == 24
    assert "`tidewaiter db upgrade` first. Trying again." in " ".join(line.rstrip() for line in lines[1:3])


def test_a_wide_terminal() -> None:
    """Where there is room it is used: who holds the lane, the period of the limit, every minute, whole reasons."""
    lines = [line.rstrip() for line in shown(fitting(busy(), 132, 43), 132)]
    assert "newsletter/4  tide-1     ████████ 30/30 in 1 min  2,400  1 min  1,204  open" in lines
    assert any(line.endswith("breaker open: 5 failures in a row: connection refused") for line in lines)
    assert len(lines[3].split()[1]) == 60


def test_lanes_that_want_a_look_are_seen_first() -> None:
    """Of too many lanes those that work are left out; the others keep their order."""
    lanes = [lane(f"a{i:02}") for i in range(40)]
    lanes[30] = replace(lanes[30], due=5, late_s=700.0)
    lanes[35] = replace(lanes[35], due=5, late_s=900.0)
    lines = shown(fitting(busy(lanes=lanes), 80, 24), 80)
    first = lines.index(next(line for line in lines if line.startswith("lane ")))
    names = [line.split()[0] for line in lines[first + 1 : first + 5]]
    assert {"a30", "a35"} <= set(names)
    assert all(one < other for one, other in pairwise(names))


def test_everything_off_a_terminal() -> None:
    """As text nothing is cut and nothing is left out."""
    text = "\n".join(shown(whole(busy()), 4096))
    assert text.count("OPENS-") == 20
    assert all(one.account in text for one in busy().lanes)
    assert "…" not in text
    assert "q ends it" not in text


def test_an_empty_database() -> None:
    """Before anything has happened it says how to begin."""
    nothing = snapshot(
        counts=dict.fromkeys(State, 0), workers=(), minutes=minutes([0] * 60), arrivals=[], parked=[], failures=[]
    )
    lines = [line.rstrip() for line in shown(fitting(busy(snapshot=nothing, lanes=()), 80, 24), 80)]
    assert lines[1:4] == [
        "no daemon is running: `tidewaiter serve` starts one",
        "no jobs yet: `tidewaiter submit ACCOUNT OPERATION -p KEY=VALUE` asks for one",
        f"landed  {'▁' * 20}  0/h, 0.0/min now",
    ]
    assert lines[4:-1] == [""] * 19


def test_trouble_with_the_database() -> None:
    """The reason stands at the top, above what was seen last."""
    lines = shown(fitting(busy(trouble="The database cannot be reached: refused."), 80, 24), 80)
    assert lines[1].rstrip() == "The database cannot be reached: refused. Trying again."
    assert any("OPENS-0.json" in line for line in lines)
    first = TopState("sqlite:///x", NOW, None, (), LEASE_S, trouble="The database does not answer.")
    assert shown(fitting(first, 80, 24), 80)[1].rstrip() == "The database does not answer. Trying again."


def test_undelivered_notifications() -> None:
    """A line of its own says so, and only where there is something to say."""
    undelivered = {"ops": EndpointBacklog(3, None, 2), "quiet": EndpointBacklog(), "mail": EndpointBacklog(waiting=1)}
    lines = shown(fitting(busy(snapshot=snapshot(undelivered=undelivered)), 80, 24), 80)
    assert lines[4].rstrip() == "notifications  mail 1 waiting  ops 3 waiting, 2 given up"
    assert len(lines) == 24
    assert not any(line.startswith("undelivered") for line in shown(whole(busy()), 4096))


def test_one_account() -> None:
    """The title names it; its jobs are told by what is live, what is due and what ended in the hour."""
    lines = shown(fitting(busy(account="newsletter", lanes=busy().lanes[:2]), 100, 30), 100)
    assert "account newsletter" in lines[0]
    assert lines[2].rstrip() == "jobs  2,408 live  2,412 due  174 succeeded in the hour  51 failed in the hour"


@pytest.mark.parametrize("width", [80, 132])
def test_hostile_words_do_no_harm(width: int) -> None:
    """Whatever stands in a text of a job, an account, a file or an error: no control character, no broken line."""
    evil = job(1, account=HOSTILE, operation=HOSTILE, reason=HOSTILE, state=State.FAILED)
    seen = snapshot(
        workers=[replace(snapshot().workers[0], host=HOSTILE, version=HOSTILE)],
        arrivals=[replace(snapshot().arrivals[0], job=evil, name=HOSTILE)],
        parked=[evil],
        failures=[evil],
    )
    throttled = replace(busy().lanes[2], account=HOSTILE, host=HOSTILE, reason=HOSTILE)
    for trouble in (None, HOSTILE):
        state = busy(snapshot=seen, lanes=[throttled], database=HOSTILE, account=HOSTILE, trouble=trouble)
        for lines in (shown(fitting(state, width, 24), width, 24), shown(whole(state), 8192)):
            text = "\n".join(lines)
            assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e]", text)
            assert "[bold]markup[/bold]" in text or width == 80
        lines = shown(fitting(state, width, 24), width, 24)
        assert (len(lines), max(map(len, lines))) == (24, width)
        json.loads(json.dumps(top_json(state)))


def test_colours_are_not_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR there is none, and every state and standing is still a word."""
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(width=132, height=43, force_terminal=True, highlight=False)
    with console.capture() as captured:
        console.print(fitting(busy(), 132, 43))
    assert not re.search(r"\x1b\[[0-9;]*(3[0-9]|4[0-9]|9[0-9])", captured.get())
    assert all(word in captured.get() for word in ("throttled", "paused", "unserved", "parked", "open"))


def test_rooms_are_shared() -> None:
    """Each row goes to the section that needs one and has the fewest; no section gets more than it needs."""
    assert shares(10, [3, 20, 1]) == [3, 6, 1]
    assert shares(100, [3, 20, 1]) == [3, 20, 1]
    assert shares(2, [3, 20, 1]) == [1, 1, 0]
    assert shares(-4, [3, 1]) == [0, 0]


def test_marks() -> None:
    """A bar shows that there is something, a column that there is something, and neither grows beyond its room."""
    assert [bar(share, 4, "").plain for share in (0.0, 0.001, 0.5, 1.0, 7.0)] == [
        "░░░░",
        "▏░░░",
        "██░░",
        "████",
        "████",
    ]
    assert sparkline([0, 1, 50, 100]) == "▁▂▅█"
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "▁▁"


def test_json() -> None:
    """It has the members of the API's overview and more; one account's jobs are not counted."""
    shown = top_json(busy())
    assert set(OverviewShape.model_fields) <= set(shown)
    assert (shown["at"], shown["error"], shown["account"]) == (rfc3339(NOW), None, None)
    (daemon,) = shown["daemons"]
    assert (daemon["host"], daemon["pid"], daemon["version"]) == ("tide-1", 4711, "0.3.0")
    assert (daemon["started_at"], daemon["seen_at"]) == (rfc3339(NOW - 12_000.0), rfc3339(NOW - 2.0))
    assert shown["jobs"]["polling"] == 1204
    assert set(BacklogShape.model_fields) <= set(shown["lanes"][2])
    assert shown["lanes"][2]["condition"] == "throttled"
    assert shown["lanes"][2]["until"] == rfc3339(NOW + 42.0)
    assert shown["lanes"][0]["requests"] == {"used": 12, "most": 30, "period_s": 60.0}
    assert sum(one["ended"].get("succeeded", 0) for one in shown["minutes"]) == 174
    assert sum(shown["landings"]["per_minute"]) == 174
    assert shown["landings"]["delay_p50_s"] == pytest.approx(4.1)
    assert shown["landed"][0] == {
        "job": 900, "account": "newsletter", "operation": "statistics",
        "files": 1, "name": "OPENS-0.json", "size": 1_234_567, "finished_at": rfc3339(NOW - 30.0),
    }  # fmt: skip
    assert [one["state"] for one in (*shown["parked"], *shown["failed"])] == ["parked", "failed"]
    assert top_json(busy(account="newsletter"))["jobs"] is None
    assert top_json(busy(snapshot=None, trouble="away")) == {
        "at": rfc3339(NOW), "database": "sqlite:///tidewaiter.db", "account": None, "error": "away",
        "writes": None,
    }  # fmt: skip


def test_a_used_up_limit_is_a_wait() -> None:
    """An open lane whose limit is used up says when it permits the next request."""
    state = busy(lanes=[lane("shop", used=30, until=NOW + 42.0)])
    assert any("limit used up, next request in 42 s" in line for line in shown(fitting(state, 120, 24), 120))
