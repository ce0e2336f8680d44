"""What the catalogue knows of an emulator: how to build it, and the account that a configuration needs for it."""

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
    """One job that an emulator can do: what a person would ask for, and how it may be called in a table."""

    operation: str
    params: Mapping[str, str]
    title: str


@dataclass(frozen=True, slots=True)
class Served:
    """One emulated API, not started yet.

    ``servers`` are started in this order, each under the name that people call it. ``account`` can be asked once they
    run, because only then their ports are known.
    """

    servers: Mapping[str, EmulatedServer]
    account: Callable[[], Account]
    wishes: Sequence[Wish]


@dataclass(frozen=True, slots=True)
class Entry:
    """One emulator of the catalogue.

    ``options`` is a frozen dataclass: its fields are what can be told at the start. ``build`` takes the clock, the port
    of the API (0 for a free one) and such options.
    """

    name: str
    title: str
    options: type[Any]
    build: Callable[[Clock, int, Any], Served]
