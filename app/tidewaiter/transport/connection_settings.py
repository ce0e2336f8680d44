"""How outgoing connections are made: what they trust, through which proxy they go, and from which address."""

from dataclasses import dataclass, field

from tidewaiter.transport.proxies import Proxies
from tidewaiter.transport.trust import Trust


@dataclass(frozen=True, slots=True)
class ConnectionSettings:
    """Certificate authorities, proxies, and the address of this machine that connections come from, if it is fixed."""

    trust: Trust = field(default_factory=Trust)
    proxies: Proxies = field(default_factory=Proxies)
    source_address: str | None = None

    @property
    def local_address(self) -> tuple[str, int] | None:
        """The address that a socket is bound to before it connects."""
        return None if self.source_address is None else (self.source_address, 0)
