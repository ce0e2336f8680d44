"""How the wire makes connections: what it trusts."""

from dataclasses import dataclass, field

from tidewaiter.transport.trust import Trust


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The settings of outgoing connections."""

    trust: Trust = field(default_factory=Trust)
