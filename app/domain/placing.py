"""Numbers and keys for the files of a job when some have landed already: no landed file is moved or overwritten."""

from collections.abc import Callable, Iterator, Mapping

from app.domain.manifest import Artifact


def places(
    kept: Mapping[int, Artifact], total: int, key_of: Callable[[int, int], str]
) -> Iterator[tuple[int, int, str]]:
    """For each file that is not kept: its place in the list, and the number and key under which it lands.

    The number is the place where that is free. A kept file that has moved in the list holds its number and its key
    until all files are there; a file that would get them takes the next free number instead.

    Args:
        kept: the files that have landed already, by their place in the list now.
        total: how many files there are.
        key_of: the key of a file by its place in the list and its number.
    """
    numbers = {one.number for one in kept.values()}
    keys = {one.key for one in kept.values()}
    following = total  # the next number beyond the list that has not been tried
    for place in range(total):
        if place in kept:
            continue
        number = place
        while number in numbers or key_of(place, number) in keys:
            number, following = following, following + 1
        numbers.add(number)
        key = key_of(place, number)
        keys.add(key)
        yield place, number, key
