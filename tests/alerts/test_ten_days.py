"""Ten days of a nightly, a weekly and an hourly export: which alerts fire, and from when until when.

Scheduler, database, log and metrics are the real ones; only the provider is missing, so the test says how each job
ends.
The rules are evaluated by the small reader in :mod:`tests.alerts.promql`, and where ``promtool`` is installed by
Prometheus itself, which must find the same.
"""

import asyncio
import io
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.alerts.lines import Query, lines_of, replay
from tests.alerts.log_rules import ELASTIC, LOKI
from tests.alerts.promql import AlertRule, Sample
from tests.support.metrics_page import UP
from tests.support.stored_jobs import OWNER, StandingClock, Stores, artifact, new_job
from tidewaiter.database.engine import Database
from tidewaiter.database.failure_store import FailureStore
from tidewaiter.database.schedule_store import ScheduleStore
from tidewaiter.domain import outcome as o
from tidewaiter.domain.account_scope import Scope
from tidewaiter.domain.job import FAILURES, Job
from tidewaiter.log import configure
from tidewaiter.metrics.process_metrics import Metrics
from tidewaiter.metrics.readings import DatabaseReading
from tidewaiter.recurrence import CatchUp, Schedule
from tidewaiter.services import JobRequest
from tidewaiter.services.export_health import ExportHealth
from tidewaiter.worker.job_event_log import JobLog
from tidewaiter.worker.scheduler import Scheduler, SchedulerSettings

pytestmark = pytest.mark.slow

RULES_FILE = Path(__file__).parents[2] / "config" / "alerts" / "prometheus.rules.yaml"
NAMES = ("TidewaiterFailureUnhandled", "TidewaiterScheduleFailed", "TidewaiterScheduleLate", "TidewaiterJobSlow")
LOG_NAMES = ("TidewaiterFailureUnhandled", "TidewaiterScheduleFailed", "TidewaiterScheduleMissed")
LOG_RULES = [{name: rules[name].query for name in LOG_NAMES} for rules in (LOKI, ELASTIC)]
OF_SCRAPE = {"job": "tidewaiter", "instance": "a:8090"}
MINUTE = 60.0
STEP_S = 15 * MINUTE
HOUR = 3600.0
TAKES_S = {"nightly": 2 * HOUR, "weekly": 5 * HOUR, "hourly": 15 * MINUTE}
CRONS = {"nightly": "15 4 * * *", "weekly": "0 5 * * 1", "hourly": "30 * * * *"}


def at(day: int, hour: int, minute: int = 0) -> float:
    """A moment in March 2026, of which the first is a Sunday."""
    return datetime(2026, 3, day, hour, minute, tzinfo=UTC).timestamp()


BEGIN, END = at(1, 0), at(11, 0)


@dataclass(frozen=True, slots=True)
class Firing:
    """An alert that fired without a break, with the schedule or the operation that it names."""

    alert: str
    whose: str
    begin: str
    end: str


@dataclass(slots=True)
class Recording:
    """The samples of every moment at which the daemon was scraped, and what fired then."""

    samples: dict[float, Sequence[Sample]] = field(default_factory=dict)
    firing: dict[float, set[tuple[str, str]]] = field(default_factory=dict)
    log: io.StringIO = field(default_factory=io.StringIO)

    def firings(self) -> list[Firing]:
        """What fired, from when until when."""
        moments, found = sorted(self.firing), []
        for one in sorted(set().union(*self.firing.values())):
            begin = None
            for moment in [*moments, END + STEP_S]:
                fires = one in self.firing.get(moment, set())
                if fires and begin is None:
                    begin = moment
                if not fires and begin is not None:
                    found.append(Firing(*one, _shown(begin), _shown(moment)))
                    begin = None
        return found


def _shown(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%d %H:%M}"


@dataclass(slots=True)
class Days:
    """The ten days: who fails and when, how long a job takes, when no daemon runs, and what a person does."""

    fails: Callable[[str, float], bool] = lambda _name, _at: False
    takes_s: Callable[[str, float], float] = lambda name, _at: TAKES_S[name]
    is_down: Callable[[float], bool] = lambda _at: False
    handles_all_at: float | None = None

    async def lived(self, url: str) -> Recording:
        """Live through them on a real database."""
        clock = StandingClock()
        clock.at = BEGIN
        database = Database.open(url, clock)
        stores, running = await Stores.set_up(database), list[tuple[float, Job]]()

        async def submit(request: JobRequest) -> tuple[Job, bool]:
            new = new_job(
                operation=request.operation, unique_key=request.unique_key, context=request.context, deadline_s=1e6
            )
            job, created = await stores.jobs.add(new, stores.lane.id, clock.at)
            job = await stores.accepted(job, o.Intended(f"intent-{job.id}"), clock.at)
            running.append((clock.at + self.takes_s(job.operation, clock.at), job))
            return job, created

        schedules = {
            name: Schedule(name, "acme", name, cron, ZoneInfo("UTC"), {}, CatchUp.SKIP) for name, cron in CRONS.items()
        }
        made, metrics, rules = Recording(), Metrics(), [AlertRule.of(rule) for rule in _rules()]
        log = configure("json", "info", clock=clock, stream=made.log, strict=True)
        settings = SchedulerSettings(list(schedules.values()), submit)
        scheduler = Scheduler(settings, ScheduleStore(database), clock, log)
        health = ExportHealth(lambda: schedules, database, clock)
        job_log = JobLog(log, clock, stores.jobs)
        while clock.at <= END:
            if clock.at == self.handles_all_at:
                await _acknowledge_all(stores, clock.at)
            if not self.is_down(clock.at):
                await self._end_jobs(stores, running, clock.at, job_log)
                await scheduler._serve()
                made.samples[clock.at] = _samples(metrics, DatabaseReading({}, {}, {}, None, await health.reading()))
                made.firing[clock.at] = _firing(rules, clock.at, made.samples[clock.at])
            clock.at += STEP_S
        log.close()
        await database.close()
        return made

    async def _end_jobs(self, stores: Stores, running: list[tuple[float, Job]], now: float, job_log: JobLog) -> None:
        for one in [one for one in running if one[0] <= now]:
            running.remove(one)
            fails = self.fails(one[1].operation, one[1].created_at)
            outcome = o.Refused("no") if fails else o.Stored((artifact(0),))
            end = stores.update(one[1], outcome, one[0])
            assert (await stores.jobs.record([end], OWNER)).accepted
            await job_log.committed([end.update])


async def _acknowledge_all(stores: Stores, now: float) -> None:
    for job in await stores.jobs.find(states=FAILURES, limit=1000):
        await FailureStore(stores.database).acknowledge(job.id, "ada", now)


def _rules() -> list[Mapping[str, object]]:
    groups = yaml.safe_load(RULES_FILE.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"] if rule["alert"] in NAMES]


def _samples(metrics: Metrics, reading: DatabaseReading) -> list[Sample]:
    """The page that is scraped, read as Prometheus does."""
    body, _ = metrics.scrape(replace(UP, database=reading)).limited_to(Scope(frozenset({"acme"}))).written("")
    return [
        Sample(sample.name, {**sample.labels, **OF_SCRAPE}, sample.value)
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    ]


def _firing(rules: Sequence[AlertRule], moment: float, samples: Sequence[Sample]) -> set[tuple[str, str]]:
    return {
        (rule.name, dict(labels).get("schedule") or dict(labels)["operation"])
        for rule in rules
        for labels in rule.firing(moment, samples)
    }


HEALTHY = Days()
TROUBLED = Days(
    fails=lambda name, begun: name == "nightly" and at(3, 0) < begun < at(6, 0),
    takes_s=lambda name, begun: 5 * HOUR if (name, begun) == ("hourly", at(9, 14, 30)) else TAKES_S[name],
    is_down=lambda now: at(8, 10, 15) <= now < at(8, 10, 45),
    handles_all_at=at(7, 9),
)
EXPECTED = [
    Firing("TidewaiterFailureUnhandled", "nightly", "03 06:30", "07 09:00"),
    Firing("TidewaiterJobSlow", "hourly", "09 15:15", "09 19:30"),
    Firing("TidewaiterScheduleFailed", "nightly", "03 06:30", "06 06:15"),
    Firing("TidewaiterScheduleLate", "hourly", "08 11:00", "08 11:30"),
]


# The log does not know what somebody has handled, so a rule fires for an hour.
EXPECTED_OF_LOG = [
    *(Firing("TidewaiterFailureUnhandled", "nightly", f"{day} 06:15", f"{day} 07:15") for day in ("03", "04", "05")),
    *(Firing("TidewaiterScheduleFailed", "nightly", f"{day} 06:15", f"{day} 07:15") for day in ("03", "04", "05")),
    Firing("TidewaiterScheduleMissed", "acme", "08 10:45", "08 11:45"),
]


def _of_log(made: Recording, rules: Mapping[str, Query]) -> list[Firing]:
    """What fires on the log, from when until when."""
    of_rules = ("job.failed", "schedule.missed")
    whole = lines_of(made.log.getvalue())
    lines = [whole[0], *(line for line in whole[1:-1] if line.fields["event"] in of_rules), whole[-1]]
    found: list[Firing] = []
    for name, query in sorted(rules.items()):
        spans: dict[str, list[float]] = {}
        for one in replay(query, lines):
            labels = dict(one.labels)
            whose = labels.get("schedule") or labels.get("operation") or labels["account"]
            begun = spans.setdefault(whose, [one.at, one.at])
            if one.at - begun[1] > MINUTE:
                found.append(Firing(name, whose, _shown(begun[0]), _shown(begun[1] + MINUTE)))
                begun[0] = one.at
            begun[1] = one.at
        found += [Firing(name, whose, _shown(one[0]), _shown(one[1] + MINUTE)) for whose, one in spans.items()]
    return found


async def test_ten_healthy_days_wake_nobody(sqlite_url: str) -> None:
    """Neither the weekly export, which lands nothing on six days of seven, nor the others."""
    made = await HEALTHY.lived(sqlite_url)
    assert made.firings() == []
    for rules in LOG_RULES:
        assert _of_log(made, rules) == []
    usual = {one.labels["operation"] for one in made.samples[END] if one.name == "tidewaiter_usual_duration_seconds"}
    assert usual == {"hourly"}


async def test_ten_troubled_days(sqlite_url: str, tmp_path: Path) -> None:
    """Who fails every night, what was skipped and what takes long: each for as long as somebody should care.

    Where promtool is installed, it says the same, just before each change and at it.
    """
    made = await TROUBLED.lived(sqlite_url)
    assert made.firings() == EXPECTED
    for rules in LOG_RULES:
        assert _of_log(made, rules) == EXPECTED_OF_LOG
    promtool = shutil.which("promtool")
    if promtool is not None:
        file = tmp_path / "ten-days.test.yaml"
        file.write_text(yaml.safe_dump(_promtool_test(made)))
        command = [promtool, "test", "rules", str(file)]
        result = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def _promtool_test(made: Recording) -> dict[str, object]:
    moments = [BEGIN + step * STEP_S for step in range(int((END - BEGIN) / STEP_S) + 1)]
    series: dict[str, dict[float, float]] = {}
    for moment, samples in made.samples.items():
        for one in samples:
            labels = ", ".join(f'{name}="{value}"' for name, value in sorted(one.labels.items()))
            series.setdefault(f"{one.name}{{{labels}}}", {})[moment] = one.value
    checks = []
    for before, moment in pairwise(moments):
        if made.firing.get(before) == made.firing.get(moment) or moment not in made.firing:
            continue
        for each in (before, moment):
            names = [
                {"labels": f'{{alertname="{alert}", {"schedule" if "Schedule" in alert else "operation"}="{whose}"}}',
                 "value": 1}
                for alert, whose in sorted(made.firing.get(each, set()))
            ]  # fmt: skip
            by = "alertname, schedule, operation"
            expression = f'count by ({by}) (ALERTS{{alertstate="firing", alertname=~"{"|".join(NAMES)}"}})'
            checks.append({"expr": expression, "eval_time": f"{int(each - BEGIN)}s", "exp_samples": names})
    return {
        "rule_files": [str(RULES_FILE)],
        "evaluation_interval": "15m",
        "tests": [
            {
                "name": "ten days",
                "interval": "15m",
                "input_series": [
                    {"series": name, "values": " ".join(str(values.get(moment, "_")) for moment in moments)}
                    for name, values in series.items()
                ],
                "promql_expr_test": checks,
            }
        ],
    }
