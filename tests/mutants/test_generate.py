"""Which mutants are made from a source."""

from tests.mutants.catalogue import ROOT, SOURCES
from tests.mutants.generate import TESTS, changes_in

SOURCE = """\
def due(jobs: dict[int, str] = {}, *, most: int = 3) -> int:
    if not jobs and most <= 3 or "é" not in jobs:
        log.emit("due", number=5)
        raise ValueError("none")
    jobs.clear()
    most += 1
    return most
"""
EXPECTED = {
    1: ["most: int = 4"],
    2: ["if  jobs and", "jobs or most", "most < 3", "<= 4", '3 and "é"', '"é" in jobs'],
    4: ["        pass"],
    5: ["    pass"],
    6: ["    pass"],
}


def test_one_change_of_each_kind() -> None:
    """Each at its place; neither annotations, texts nor log events are changed."""
    found: dict[int, list[str]] = {}
    for line, first, last, after in changes_in(SOURCE):
        data = SOURCE.encode()
        changed = (data[:first] + after.encode() + data[last:]).decode()
        found.setdefault(line, []).append(changed.splitlines()[line - 1])
    assert found.keys() == EXPECTED.keys()
    for line, texts in EXPECTED.items():
        assert len(found[line]) == len(texts)
        assert all(any(text in one for one in found[line]) for text in texts), found[line]


def test_the_files_and_their_tests_exist() -> None:
    """A file that was moved would otherwise be left out of the samples."""
    tests = {test.partition("::")[0] for every in TESTS.values() for test in every}
    named = {SOURCES / name for name in TESTS} | {ROOT / test for test in tests}
    assert [str(path) for path in named if not (ROOT / path).exists()] == []
