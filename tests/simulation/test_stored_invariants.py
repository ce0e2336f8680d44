"""The invariants that every world shares find what breaks them."""

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.simulation.stored_invariants import file_faults, history_faults, rate_faults, token_faults

_TABLES = """
CREATE TABLE jobs (id INTEGER, state TEXT);
CREATE TABLE history (job_id INTEGER, version INTEGER, state_from TEXT, state TEXT);
CREATE TABLE artifacts (job_id INTEGER, key TEXT, sha256 TEXT);
INSERT INTO jobs VALUES (1, 'succeeded');
INSERT INTO history VALUES (1, 1, NULL, 'queued'), (1, 2, 'queued', 'succeeded');
"""


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    """A job that has succeeded, with a history that says so."""
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.row_factory = sqlite3.Row
        opened.executescript(_TABLES)
        yield opened


def test_a_sound_history_has_no_fault(database: sqlite3.Connection) -> None:
    """Each row begins where the last one ended, and the job is where its history ends."""
    assert list(history_faults(database)) == []


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE history SET state_from = 'polling' WHERE version = 2", "4: job 1 went from polling to succeeded"),
        ("INSERT INTO history VALUES (1, 3, 'succeeded', 'succeeded')", "4: job 1 changed after it had ended"),
        ("UPDATE jobs SET state = 'polling'", "4: job 1 is polling, its history ends with succeeded"),
    ],
)
def test_a_broken_history_is_found(database: sqlite3.Connection, statement: str, fault: str) -> None:
    """A gap, a change after the end, and a job that is elsewhere."""
    database.execute(statement)
    (found,) = history_faults(database)
    assert found.startswith(fault)


def test_files_are_those_of_the_remote_job(database: sqlite3.Connection, tmp_path: Path) -> None:
    """A file that is missing, changed or not recorded is found, and so is a manifest that is missing."""
    digest = hashlib.sha256(b"rows").hexdigest()
    database.execute("INSERT INTO artifacts VALUES (1, 'a.csv', ?)", (digest,))
    (tmp_path / "a.csv").write_bytes(b"rows")
    (tmp_path / "manifest.json").touch()
    assert list(file_faults(database, tmp_path, 1, [b"rows"])) == []
    assert len(list(file_faults(database, tmp_path, 1, [b"rows", b"more"]))) == 1
    (tmp_path / "a.csv").write_bytes(b"half")
    (tmp_path / "manifest.json").unlink()
    assert len(list(file_faults(database, tmp_path, 1, [b"rows"]))) == 2
    (tmp_path / "a.csv").unlink()
    assert any("is no file" in one for one in file_faults(database, tmp_path, 1, [b"rows"]))


def test_requests_beyond_the_limit_are_found() -> None:
    """A request may be sent a period after the one that it takes the place of, and not before."""
    assert list(rate_faults([0.0, 1.0, 10.0, 11.0], 2, 10.0)) == []
    assert len(list(rate_faults([0.0, 1.0, 9.0, 11.0], 2, 10.0))) == 1


def test_a_token_is_found_wherever_it_stands(database: sqlite3.Connection) -> None:
    """In the log, and in any row."""
    assert list(token_faults(database, "a line", "canary")) == []
    assert len(list(token_faults(database, "a line with canary", "canary"))) == 1
    database.execute("INSERT INTO artifacts VALUES (1, 'canary.csv', '')")
    assert len(list(token_faults(database, "a line", "canary"))) == 1
