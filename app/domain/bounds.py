"""How much of what a provider sends is taken at most: whatever it sends, the daemon goes on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bounds:
    """What an account takes at most: files and JSON values in one reply, pages in one list, bytes in one file."""

    most_files: int = 10_000
    most_pages: int = 100_000
    most_values: int = 1_000_000
    largest_file_bytes: int = 1 << 40


USUAL = Bounds()
"""Where the operator says nothing else."""
