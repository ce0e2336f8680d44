"""Secret parameters: their values are kept apart from a job's other parameters, which every output shows."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from tidewaiter.domain.http_values import Json

MASK: Final = "***"
"""What stands in the place of a secret value, wherever parameters are shown."""
NO_TEXT: Final = "{}"


@dataclass(frozen=True, slots=True)
class SecretParams:
    """The values of secret parameters.

    ``text`` is their stored form, which may be encrypted. ``values`` has them by name, before they are stored and while
    a step works with them; elsewhere it is empty.
    """

    text: str = field(default=NO_TEXT, repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return self.text != NO_TEXT or bool(self.values)


NO_SECRETS: Final = SecretParams()


def without_secrets(params: Mapping[str, Json], secret: Collection[str]) -> tuple[dict[str, Json], dict[str, str]]:
    """The parameters with ``***`` in place of secret values, and these values; ``secret`` has the names."""
    values = {name: str(value) for name, value in params.items() if name in secret and value != MASK}
    shown = {name: MASK if name in secret else value for name, value in params.items()}
    return shown, values
