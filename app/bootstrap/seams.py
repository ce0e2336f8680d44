"""The seams of a daemon: what a simulation brings its own of."""

from dataclasses import dataclass, field
from random import Random

from app.clock import Clock
from app.domain.change import Tell, tell_nobody
from app.metrics.registry import Metrics
from app.storage.base import Storage
from app.store.engine import Database
from app.transport.wire import Wire


@dataclass(frozen=True, slots=True)
class Seams:
    """Where time, chance and the outside come in; a simulation brings its own.

    ``metrics`` outlive the daemon; ``tell`` is told of what has changed of jobs.
    """

    clock: Clock
    rand: Random
    wire: Wire
    database: Database
    storage: Storage
    metrics: Metrics = field(default_factory=Metrics)
    tell: Tell = tell_nobody
