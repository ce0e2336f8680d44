"""The error for a configuration that cannot be used: every fault at once, and what is left without them."""

from collections.abc import Iterable
from typing import Self

from app.config.faults import Fault
from app.config.tables import Config


class ConfigError(Exception):
    """The configuration cannot be used; ``faults`` is all that is wrong with it, ``str()`` a line for each.

    ``rest`` is the configuration without what is wrong, if that is still a configuration. Other floors look for their
    own faults in it, so that a person sees all faults at once.
    """

    def __init__(self, faults: Iterable[Fault], rest: Config | None = None) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        self.rest = rest
        super().__init__("\n".join(map(str, self.faults)))

    @classmethod
    def of(cls, faults: Iterable[Fault]) -> Self:
        """The error for faults that another floor found in this configuration, such as a provider in its settings."""
        return cls(faults)

    def joined_by(self, others: Iterable[Fault]) -> Self:
        """The error with the faults that another floor found in the rest; of one key only the first fault counts."""
        known = {fault.key.removesuffix("_file") for fault in self.faults}
        return type(self)([*self.faults, *(fault for fault in others if fault.key not in known)])
