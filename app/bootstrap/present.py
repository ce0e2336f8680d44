"""What the HTTP API and the status page use of the configuration: services, providers and lanes, as of now."""

from collections.abc import Mapping

from app.bootstrap.accounts import read_schedules
from app.bootstrap.bound import Bound, Reloadable, Running
from app.bootstrap.desk import desk_of
from app.bootstrap.seams import Seams
from app.desk import Desk, ScheduleDesk
from app.log import EventLog
from app.providers.registry import Registry
from app.store.schedules import ScheduleStore


class Present:
    """Each call returns what belongs to the configuration that is in use at that moment.

    Args:
        running: the configuration.
        seams: time, chance and database.
        log: takes what is requested.
    """

    def __init__(self, running: Running, seams: Seams, log: EventLog) -> None:
        self._seams = seams
        self._log = log
        self.reconfigure(running.bound)
        running.join(Reloadable(self, lambda bound: bound))

    def desk(self) -> Desk:
        """The desk with the configured accounts."""
        return self._desk

    def schedules(self) -> ScheduleDesk:
        """The desk for recurring jobs."""
        return self._schedules

    def providers(self) -> Registry:
        """The known providers."""
        return self._providers

    def shards(self) -> Mapping[str, int]:
        """How many lanes each account has."""
        return self._shards

    def reconfigure(self, bound: Bound) -> None:
        """Build everything anew for this configuration."""
        seams = self._seams
        self._providers = bound.providers
        self._desk = desk_of(
            bound.config, bound.accounts, seams.database, seams.clock, self._log, rand=seams.rand, tell=seams.tell
        )
        schedules = read_schedules(bound.config, bound.accounts)
        self._schedules = ScheduleDesk(schedules, ScheduleStore(seams.database), self._desk, seams.clock)
        self._shards = {name: account.shards for name, account in bound.config.accounts.items()}
