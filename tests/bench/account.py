"""What the daemon and the bare client have in common: one account of the stub, and how it may be asked."""

from typing import Final

ACCOUNT: Final = "bench"
CUSTOMER: Final = "5004"
TOKEN: Final = "bench-token"
CONCURRENCY: Final = 64
FIRST_BATCH: Final = 100_001
