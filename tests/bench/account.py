"""Account settings that the daemon and the bare client share."""

from typing import Final

ACCOUNT: Final = "bench"
CUSTOMER: Final = "5004"
TOKEN: Final = "bench-token"
CONCURRENCY: Final = 64
FIRST_BATCH: Final = 100_001
