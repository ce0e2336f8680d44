"""An entry of the catalogue: how to build an emulator, and the account that a configuration needs for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from app.clock import Clock
from app.emulators.server import EmulatedServer

Value: TypeAlias = str | float | bool


@dataclass(frozen=True, slots=True)
class Account:
    """The tables of ``[accounts.NAME]`` that lead to an emulator; ``secrets`` names the settings that are secret."""

    provider: str
    settings: Mapping[str, Value]
    secrets: frozenset[str] = frozenset()
    limits: Mapping[str, Value] = field(default_factory=dict)
    schedule: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wish:
    """An example of a job for an emulator: its operation and parameters, and a name for tables."""

    operation: str
    params: Mapping[str, str]
    title: str


@dataclass(frozen=True, slots=True)
class Served:
    """One emulated API that is not started yet.

    ``servers`` are started in this order, each with a name for people. Call ``account`` only when they run, because
    only then their ports are known.
    """

    servers: Mapping[str, EmulatedServer]
    account: Callable[[], Account]
    wishes: Sequence[Wish]


@dataclass(frozen=True, slots=True)
class Entry:
    """One emulator of the catalogue.

    ``options`` is a frozen dataclass: its fields are the options at the start. ``build`` takes the clock, the port
    of the API (0 for a free one) and such options.
    """

    name: str
    title: str
    options: type[Any]
    build: Callable[[Clock, int, Any], Served]
