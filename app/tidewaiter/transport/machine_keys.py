"""The keys that this machine itself has at AWS: from its environment, files, web identity, container or instance.

botocore finds and renews them, with requests of its own to the services that the machine's operator has set up.
"""

import asyncio
from typing import Any

from tidewaiter.domain.request_signing import MachineKeys
from tidewaiter.transport.wire import NotSentError

_REMEDY = "give the machine a role or keys, or write keys into the account's settings"


class MachineKeySource:
    """Reads the keys, in a thread if that may take time."""

    def __init__(self) -> None:
        self._found: Any = None
        self._one_at_a_time = asyncio.Lock()

    async def keys(self) -> MachineKeys:
        """The keys now; raises ``NotSentError`` if there are none."""
        if self._found is None or self._may_wait():
            async with self._one_at_a_time:
                return await asyncio.to_thread(self._read)
        return self._read()

    def _may_wait(self) -> bool:
        refresh_needed = getattr(self._found, "refresh_needed", None)
        return refresh_needed is not None and refresh_needed()

    def _read(self) -> MachineKeys:
        # Imported late: botocore is an extra, and few accounts use the machine's keys.
        from botocore.session import Session  # noqa: PLC0415

        try:
            self._found = self._found or Session().get_credentials()
            frozen = None if self._found is None else self._found.get_frozen_credentials()
        except Exception as error:  # noqa: BLE001  # botocore raises errors of any kind, also plain ones
            # The text of an error may quote a file of keys.
            kind = type(error).__name__
            raise NotSentError(
                f"Nothing was sent: the machine's keys for AWS cannot be read ({kind}); {_REMEDY}."
            ) from None
        if frozen is None:
            raise NotSentError(f"Nothing was sent: this machine has no keys for AWS; {_REMEDY}.")
        return MachineKeys(frozen.access_key, frozen.secret_key, frozen.token)
