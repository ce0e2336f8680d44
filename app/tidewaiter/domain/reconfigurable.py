"""One protocol for every part of a running daemon that accepts new settings.

A part declares the settings that it reads: a frozen dataclass or a read-only protocol beside its class, or a single
value. It takes them in its constructor, and again in ``reconfigure``. ``bootstrap`` has the list of all parts, with
the place of their settings in the configuration.
"""

from typing import Protocol, TypeVar

S_contra = TypeVar("S_contra", contravariant=True)


class Reconfigurable(Protocol[S_contra]):
    """A part whose settings can be replaced while it runs."""

    def reconfigure(self, settings: S_contra, /) -> None:
        """Use these settings from now on, and none of the old ones.

        The settings are already checked. This neither waits nor fails, so that all parts change at the same moment.
        """
