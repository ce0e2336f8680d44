"""What a running daemon can give new settings: one protocol for every such part.

A part declares the settings that it reads: a frozen dataclass or a read-only protocol beside its class, or a single
value. It takes them in its constructor, and again in ``reconfigure``. ``bootstrap`` keeps the list of all parts with
where the settings of each stand in the configuration.
"""

from typing import Protocol, TypeVar

S_contra = TypeVar("S_contra", contravariant=True)


class Reconfigurable(Protocol[S_contra]):
    """A part whose settings can be replaced while it runs."""

    def reconfigure(self, settings: S_contra, /) -> None:
        """Use these settings from now on, instead of all those before.

        The settings were checked before; this neither waits nor fails, so that all parts change in the same moment.
        """
