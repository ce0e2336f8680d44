"""Repeated log lines are counted in place of printed; transitions and terminal lines never are."""

from tests.log.log_stream import LogStream

# --- folding ----------------------------------------------------------------------------------------------------------


def test_repeats_are_folded() -> None:
    """Within a minute an equal warning is counted instead of printed; the count follows when the minute is over."""
    stream = LogStream()
    for _ in range(5):
        stream.log.emit("account.paused", account="shop", lane=1, reason="HTTP 429", until_s=stream.clock.at % 100)
        stream.clock.at += 10
    stream.log.emit("account.paused", account="other", lane=2, reason="HTTP 429")
    assert len(stream.lines) == 2
    stream.clock.at += 15
    stream.log.emit("storage.resumed")
    assert stream.names == ["account.paused", "account.paused", "account.paused", "storage.resumed"]
    assert stream.lines[2]["repeated"] == 4
    assert stream.lines[2]["until_s"] == 40
    stream.log.emit("account.paused", account="shop", lane=1, reason="HTTP 429")
    assert len(stream.lines) == 4


def test_a_lasting_error_is_said_less_and_less_often() -> None:
    """After one, two and then every three minutes, each time with its number; after a quiet fold it is new again."""
    stream, said_at = LogStream(), []
    began = stream.clock.at
    for _ in range(4 * 12):
        before = len(stream.lines)
        stream.log.emit("storage.paused", reason="no space", until_s=15.0)
        said_at += [stream.clock.at - began] * (len(stream.lines) - before)
        stream.clock.at += 15
    assert said_at == [0, 60, 180, 360, 540]
    assert 1 + sum(int(str(line.get("repeated", 0))) for line in stream.lines) == 36
    stream.clock.at += 400
    stream.log.emit("heartbeat")
    stream.clock.at += 400
    stream.log.emit("storage.paused", reason="no space", until_s=15.0)
    assert "repeated" not in stream.lines[-1]


def test_the_end_of_an_error_ends_its_fold() -> None:
    """The number comes before the line that says that all is well, and a new error is printed at once."""
    stream = LogStream()
    for _ in range(3):
        stream.log.emit("storage.paused", reason="no space", until_s=15.0)
        stream.log.emit("store.unavailable", reason="locked", waiting=1)
    stream.log.emit("storage.resumed")
    stream.log.emit("storage.paused", reason="no space", until_s=15.0)
    assert [(line["event"], line.get("repeated")) for line in stream.lines] == [
        ("storage.paused", None), ("store.unavailable", None), ("storage.paused", 2), ("storage.resumed", None),
        ("storage.paused", None),
    ]  # fmt: skip


def test_repeats_are_told_before_the_daemon_has_stopped() -> None:
    """Nothing that happened before is printed after the line that says that the daemon has stopped."""
    stream = LogStream()
    for _ in range(3):
        stream.log.emit("notification.troubled", notification=1, endpoint="ops", reason="HTTP 500")
    stream.log.emit("daemon.stopped", clean=True, uptime_s=1.0)
    stream.log.close()
    assert [(line["event"], line.get("repeated")) for line in stream.lines] == [
        ("notification.troubled", None), ("notification.troubled", 2), ("daemon.stopped", None),
    ]  # fmt: skip


def test_folded_lines_are_reported_at_the_end() -> None:
    """A daemon that stops within the minute still says how often."""
    stream = LogStream()
    for _ in range(3):
        stream.log.emit("store.unavailable", reason="no space", waiting=1)
    stream.log.close()
    stream.log.close()
    assert [line.get("repeated") for line in stream.lines] == [None, 2]


def test_transitions_and_terminal_lines_are_never_folded() -> None:
    """A person who counts jobs in the log counts right, whatever repeats."""
    stream = LogStream()
    for name in ("job.advanced", "job.finished", "job.failed", "job.parked", "heartbeat"):
        for _ in range(2):
            stream.log.emit(name)
    assert len(stream.lines) == 10


def test_folds_are_bounded() -> None:
    """A hundred thousand different warnings in one minute do not fill the memory."""
    stream = LogStream()
    for job in range(10_000):
        stream.log.emit("job.troubled", job=job, reason="x")
    assert len(stream.log._printer.folds) <= 4097
