"""What differs between two configurations, and which of it a running daemon can apply."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from pydantic import BaseModel

from tidewaiter.config.config_tables import Config

_Key: TypeAlias = tuple[str, ...]

_APPLIED: Final = frozenset({"accounts", "callbacks", "http", "log", "network", "notifications", "providers",
                                "retention", "schedules", "tokens", "worker"})  # fmt: skip
"""Tables that a running daemon applies. Any other table, a new one too, waits for a restart."""

_KEPT: Final = frozenset({("callbacks", "listen"), ("http", "listen"), ("log", "format"), ("worker", "lease_s")})
"""Keys of them that wait for a restart: sockets are bound at the start, other daemons rely on the lease time."""


@dataclass(frozen=True, slots=True)
class Changes:
    """How a new configuration differs from the one that is in use.

    ``config`` is the new one, but with the old values of keys that need a restart. ``changed`` are the keys that are
    applied and ``kept`` those that are not, dotted and sorted; a table that was added or removed is named as a whole.
    ``origins`` are the files and variables with the changed values.
    """

    config: Config
    changed: tuple[str, ...]
    kept: tuple[str, ...]
    origins: tuple[str, ...]


def changes_between(old: Config, new: Config) -> Changes:
    """Compare the values, however they are written; keys are named, values never."""
    comparison = _Comparison(old, new)
    changed, kept = sorted(comparison.changed), sorted(comparison.kept)
    return Changes(
        comparison.merged,
        tuple(".".join(key) for key in changed),
        tuple(".".join(key) for key in kept),
        tuple(sorted({new.origin_of(*key).name for key in changed})),
    )


class _Comparison:
    """Walks over two configurations at once and puts a third one together."""

    def __init__(self, old: Config, new: Config) -> None:
        self.changed: list[_Key] = []
        self.kept: list[_Key] = []
        # A public address is useless without its listener, so both are applied or neither is.
        self._moved = {name for name in ("callbacks", "http") if getattr(old, name).listen != getattr(new, name).listen}
        # A socket cannot begin or end TLS while it listens; another certificate is applied.
        if (old.http.tls_certificate is None) is not (new.http.tls_certificate is None):
            self._moved.add("http")
        self.merged: Config = self._model(old, new, ())

    def _model(self, old: Any, new: Any, key: _Key) -> Any:
        mine = {name: getattr(new, name) for name in type(new).model_fields}
        merged = {name: self._value(getattr(old, name), value, (*key, name)) for name, value in mine.items()}
        return new.model_copy(update={name: value for name, value in merged.items() if value is not mine[name]})

    def _value(self, old: object, new: object, key: _Key) -> object:
        if old == new:
            return new
        if isinstance(old, BaseModel) and type(old) is type(new):
            merged: object = self._model(old, new, key)
        elif isinstance(old, Mapping) and isinstance(new, Mapping):
            merged = self._mapping(old, new, key)
        else:
            merged = new if self._is_applied(key) else old
        # The very object: pydantic remembers in it which keys were written.
        return old if merged == old else merged

    def _mapping(self, old: Mapping[str, object], new: Mapping[str, object], key: _Key) -> dict[str, object]:
        merged: dict[str, object] = {}
        for name in (*new, *(name for name in old if name not in new)):
            below = (*key, name)
            if name in old and name in new:
                merged[name] = self._value(old[name], new[name], below)
            elif self._is_applied(below) is (name in new):
                merged[name] = (new if name in new else old)[name]
        return merged

    def _is_applied(self, key: _Key) -> bool:
        """Note a difference; whether the new value is applied."""
        is_shards = key[0] == "accounts" and key[2:] == ("shards",)
        is_kept = key[0] not in _APPLIED or key in _KEPT or key[0] in self._moved or is_shards
        (self.kept if is_kept else self.changed).append(key)
        return not is_kept
