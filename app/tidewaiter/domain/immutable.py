"""The decorator of values that are made for each step of a job, often, and that nothing changes.

``dataclasses.dataclass(frozen=True)`` sets each member by a call of a function: a job takes ten times as long as
without. mypy refuses an assignment to a member all the same, because it takes this decorator for that one.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as immutable
else:

    def immutable(*, frozen: bool, slots: bool):  # noqa: ARG001  # mypy reads the other definition
        """A dataclass that has equality and a hash as a frozen one has, whose members are set at full speed."""
        return dataclass(slots=slots, unsafe_hash=True)


__all__ = ["immutable"]
