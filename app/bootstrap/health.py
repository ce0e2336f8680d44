"""Health and metrics of a process, put together."""

from app import __version__
from app.clock import Clock
from app.config import Config
from app.log import EventLog
from app.metrics.registry import Metrics
from app.storage.room import Room
from app.store.engine import Database
from app.store.jobs import JobStore
from app.store.lanes import LaneStore
from app.store.overview import OverviewStore
from app.web.health import Health
from app.web.soundings import Soundings
from app.web.vitals import Vitals


def metrics_of_process(clock: Clock, log: EventLog) -> Metrics:
    """The metrics of this process, which begins now; they count what it logs."""
    metrics = Metrics()
    metrics.born(__version__, clock.now())
    log.observe(metrics.observe)
    return metrics


def health_of(
    config: Config, vitals: Vitals, metrics: Metrics, database: Database, *, clock: Clock, log: EventLog
) -> Health:
    """The routes ``/healthz``, ``/readyz`` and ``/metrics``."""
    lent = database.for_lookers
    jobs = JobStore(lent)
    soundings = Soundings(
        database.check_schema,
        jobs=jobs,
        overview=OverviewStore(jobs),
        lanes=LaneStore(lent),
        free_bytes=Room(None if config.storage.url else config.storage.root),
        clock=clock,
    )
    return Health(vitals, metrics, soundings, version=__version__, lines_lost=lambda: log.lost, clock=clock)
