"""The processes that a process has started, and their end with it, as the loss of its machine ends them."""

import os
import signal
from collections import defaultdict
from contextlib import suppress
from pathlib import Path


def processes_of(leader: int) -> list[int]:
    """A process, those of its session, and their descendants, which may have sessions of their own."""
    children: dict[int, list[int]] = defaultdict(list)
    found = [leader]
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            pid = int(stat.parent.name)
            # The second field is a name in parentheses and may hold blanks (proc(5)).
            _state, parent, _group, session, *_ = stat.read_text().rpartition(")")[2].split()
            children[int(parent)].append(pid)
            if int(session) == leader and pid != leader:
                found.append(pid)
    for pid in found:
        found += [child for child in children[pid] if child not in found]
    return found


def kill_session(leader: int) -> None:
    """Kill a process with all of :func:`processes_of`."""
    for pid in processes_of(leader):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
