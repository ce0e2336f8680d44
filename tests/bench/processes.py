"""Child processes: started on chosen cores, measured through /proc, ended by their id whatever happens."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_GRACE_S = 20.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class BenchError(Exception):
    """The benchmark itself went wrong; the message is a sentence."""


@dataclass(frozen=True, slots=True)
class Cores:
    """One core for what is measured, and the others for everything that it talks to."""

    measured: frozenset[int]
    others: frozenset[int]

    @property
    def every(self) -> frozenset[int]:
        """All of them."""
        return self.measured | self.others

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The cores that this process may use.

        Raises:
            BenchError: there is only one, so the servers would take time from what is measured.
        """
        usable = sorted(os.sched_getaffinity(0))
        if len(usable) < 2:
            raise BenchError("The benchmarks need two cores: one for what is measured, one for its servers.")
        return cls(frozenset(usable[:1]), frozenset(usable[1:]))


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of processor time: of the main thread, where the event loop runs, and of all threads together."""

    main_s: float
    all_s: float

    def __sub__(self, earlier: "Cpu") -> "Cpu":
        return Cpu(self.main_s - earlier.main_s, self.all_s - earlier.all_s)


@contextmanager
def started(
    command: Sequence[str], *, cores: Collection[int], output: Path, pass_fds: Collection[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command on these cores for as long as the block lasts; what it prints is appended to ``output``.

    It gets a session of its own, so that Ctrl-C on the terminal reaches it only through the end of the block.
    """
    before = os.sched_getaffinity(0)
    with output.open("ab") as stream:
        os.sched_setaffinity(0, cores)  # inherited by the child, and by every thread that it starts
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                pass_fds=tuple(pass_fds),
                start_new_session=True,
            )
        finally:
            os.sched_setaffinity(0, before)
    try:
        yield process
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.kill(process.pid, signal.SIGTERM)
    try:
        process.wait(_GRACE_S)
    except subprocess.TimeoutExpired:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


def python(module: str, *arguments: str) -> list[str]:
    """The command that runs a module under this interpreter."""
    return [sys.executable, "-m", module, *arguments]


def cpu_of(pid: int) -> Cpu:
    """The processor time that a process has used so far."""
    process = Path("/proc") / str(pid)
    return Cpu(_used_s(process / "task" / str(pid) / "stat"), _used_s(process / "stat"))


def _used_s(stat: Path, first: int = 11) -> float:
    # The second field is a name in parentheses and may hold blanks; utime and stime are fields 14 and 15 (proc(5)),
    # those of children that were waited for follow.
    fields = stat.read_text().rpartition(")")[2].split()
    return (int(fields[first]) + int(fields[first + 1])) / _TICKS_PER_S


def cpu_of_children(pid: int) -> float:
    """Seconds of processor time of a process and its children, those that have ended included."""
    used = _used_s(Path("/proc") / str(pid) / "stat")
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            if _parent_of(stat) == pid:
                used += _used_s(stat)
    return used + _used_s(Path("/proc") / str(pid) / "stat", first=13)


def _parent_of(stat: Path) -> int:
    return int(stat.read_text().rpartition(")")[2].split()[1])


def memory_of(pid: int) -> tuple[float, float]:
    """The resident memory of a process and its highest so far, in MB (10^6 bytes)."""
    lines = (Path("/proc") / str(pid) / "status").read_text().splitlines()
    found = {name: int(rest.split()[0]) * 1024 / 1e6 for name, _, rest in (line.partition(":") for line in lines)
             if name in ("VmRSS", "VmHWM")}  # fmt: skip
    return found["VmRSS"], found["VmHWM"]


def busy_s(cores: Collection[int]) -> float:
    """Seconds that these cores have spent on anything but idling, since the machine was started."""
    names = {f"cpu{core}" for core in cores}
    busy = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *ticks = line.split()
        if name in names:
            user, nice, system, _idle, _iowait, *interrupts = (int(one) for one in ticks[:8])
            busy += user + nice + system + sum(interrupts)
    return busy / _TICKS_PER_S


def wait_until(done: Callable[[], bool], within_s: float, process: subprocess.Popen[bytes], output: Path) -> None:
    """Wait until something has come true while a process works on it.

    Raises:
        BenchError: the process has ended, or it takes too long; with the end of what the process printed.
    """
    until = time.monotonic() + within_s
    while not done():
        check_alive(process, output)
        if time.monotonic() > until:
            raise BenchError(f"Nothing came of it within {within_s:.0f} s:\n{_tail(output)}")
        time.sleep(0.01)


def check_alive(process: subprocess.Popen[bytes], output: Path) -> None:
    """Make sure that a process has not ended.

    Raises:
        BenchError: it has; with the end of what it printed.
    """
    if process.poll() is not None:
        raise BenchError(f"A process ended with code {process.returncode}:\n{_tail(output)}")


def _tail(output: Path) -> str:
    return "\n".join(output.read_text(errors="replace").splitlines()[-15:])
