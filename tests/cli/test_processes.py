"""Commands that keep running, as real processes: the daemon, a single run, an emulator, the demo."""

import hashlib
import json
import os
import re
import signal
import stat
import sys
import urllib.request
from pathlib import Path

import pytest

from tests.cli.command_shell import CONFIG, CommandShell, start
from tests.cli.commands import STATISTICS, lines_of, wait_for
from tests.support.ports import free_port
from tidewaiter.cli.exit_codes import ExitCode


def children_of(pid: int) -> list[int]:
    """The processes that a process has started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_daemon_lands_what_is_submitted(emulated: CommandShell) -> None:
    """`serve` in one process and `submit --wait` in another: the file is there, whole, and the log names it."""
    with emulated.process("serve") as daemon:
        wait_for(daemon, "daemon.started")
        text = emulated("submit", *STATISTICS, "--wait", "--timeout", "30").stdout
        job = emulated.json("submit", *STATISTICS, "-p", "period=TODAY", "--wait", "--timeout", "30")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
        names = [line["event"] for line in lines_of(daemon)]
    assert "job 1 is succeeded" in text
    (artifact,) = job["artifacts"]
    assert artifact["sha256"] in emulated("jobs", "show", str(job["id"])).stdout
    assert hashlib.sha256(Path(artifact["path"]).read_bytes()).hexdigest() == artifact["sha256"]
    assert names.count("job.finished") == 2
    assert names[-1] == "daemon.stopped"


@pytest.mark.slow
def test_waiting_is_stopped_by_ctrl_c(shell: CommandShell) -> None:
    """Ctrl-C ends the wait with 130 and without a word; the job stays."""
    with shell.process("submit", *STATISTICS, "--wait") as process:
        wait_for(process, "queued")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert len(shell.json("jobs", "list")["jobs"]) == 1


@pytest.mark.slow
def test_ctrl_c_prints_the_job_for_a_program(migrated: None, shell: CommandShell) -> None:
    """With --json the job is printed whatever the exit code: it goes on, and nobody else tells its number."""
    with shell.process("submit", *STATISTICS, "--wait", "--json") as process:
        while not shell.json("jobs", "list")["jobs"]:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=30)
        assert process.returncode == ExitCode.INTERRUPTED
    job = json.loads(printed)
    assert (job["id"], job["state"], job["artifacts"]) == (1, "queued", [])


@pytest.mark.slow
def test_one_run(emulated: CommandShell, tmp_path: Path) -> None:
    """`run` tells what happens, lands the file in the folder, and leaves no database behind."""
    text = emulated("run", *STATISTICS, "--out", "here").stdout
    assert "is polling" in text
    assert "is succeeded" in text
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    manifest = json.loads((tmp_path / "here" / "manifest.json").read_bytes())
    (file,) = manifest["artifacts"]
    assert names == sorted([file["name"], "manifest.json"])
    assert file["key"] == file["name"]
    landed = tmp_path / "here" / file["name"]
    assert hashlib.sha256(landed.read_bytes()).hexdigest() == file["sha256"]
    assert file["sha256"] in text
    assert f"here/{file['name']}\n" in text
    assert not (tmp_path / "tidewaiter.db").exists()
    job = emulated.json("run", *STATISTICS, "--out", "there")
    assert job["state"] == "succeeded"
    assert Path(job["artifacts"][0]["path"]).is_file()


@pytest.mark.slow
def test_a_run_starts_its_own_account_only(emulated: CommandShell) -> None:
    """Another account, its schedule and its token neither stop it nor fill its output, whatever is wrong with them."""
    (emulated.folder / "reader").write_text("r" * 40)
    with emulated.config.open("a") as config:
        config.write(
            '[accounts.broken]\nprovider = "symplify"\nallow_private = true\n'
            '[accounts.broken.settings]\ncustomer_id = "1"\ntoken_file = "gone"\n'
            '[schedules.nightly]\naccount = "broken"\noperation = "nonsense"\ncron = "* * * * *"\n'
            '[tokens.reader]\naccounts = ["broken"]\ntoken_file = "reader"\n'
        )
    result = emulated("run", *STATISTICS, "--out", "here")
    assert result.stderr == ""
    assert "is succeeded" in result.stdout
    told = emulated("run", "broken", *STATISTICS[1:], "--out", "there", code=ExitCode.CONFIG).stderr.splitlines()
    assert len(told) == 2
    assert all("tidewaiter.toml: accounts.broken.settings." in line for line in told)
    assert (
        "configured: broken, shop"
        in emulated("run", "shpo", *STATISTICS[1:], "--out", "there", code=ExitCode.USAGE).stderr
    )


@pytest.mark.slow
def test_runs_leave_what_has_landed(emulated: CommandShell, tmp_path: Path) -> None:
    """A run writes over no file in its folder: neither one that a daemon landed there, nor one of another run.

    The second run adds its number to the names that are taken, and its manifest says so.
    """
    with emulated.process("serve") as daemon:
        emulated("submit", *STATISTICS, "--wait", "--timeout", "30")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
    landed = {path: path.stat() for path in (tmp_path / "landed").rglob("OPENS*")}
    assert [path.parent.name for path in landed] == ["1"]
    for runs in (1, 2):
        emulated("run", *STATISTICS, "--out", "landed")
        assert all(path.stat() == before for path, before in landed.items())
        landed = {path: path.stat() for path in (tmp_path / "landed").rglob("OPENS*")}
        assert len(landed) == 1 + runs
    manifests = [json.loads(path.read_bytes()) for path in sorted((tmp_path / "landed").glob("manifest*.json"))]
    assert len(manifests) == 2
    for manifest in manifests:
        (file,) = manifest["artifacts"]
        content = (tmp_path / "landed" / file["key"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == file["sha256"]


@pytest.mark.slow
def test_a_run_that_fails(emulated: CommandShell) -> None:
    """A wrong parameter ends with 2 before anything is sent; a refusal of the provider with 1 and its reason."""
    assert "permitted" in emulated("run", "shop", "statistics", "-p", "export_type=NO", "--out", "x", code=2).stderr
    emulated.config.write_text(
        emulated.config.read_text().replace("[accounts.shop.schedule]", "[accounts.shop.schedule]\ndeadline_s = 0.2")
    )
    assert "is expired" in emulated("run", *STATISTICS, "--out", "x", code=ExitCode.FAILED).stdout


@pytest.mark.slow
def test_a_run_with_a_refused_key(emulated: CommandShell) -> None:
    """Nobody is there to resume the account, so the run ends at once, with the reason, and shows no secret."""
    emulated.config.write_text(emulated.config.read_text().replace('"canary-token"', '"canary-wrong"'))
    result = emulated("run", *STATISTICS, "--out", "x", code=ExitCode.FAILED)
    assert "tidewaiter: the run broke off: HTTP 401" in result.stderr
    assert "canary" not in result.output


@pytest.mark.slow
def test_a_run_is_stopped_by_ctrl_c(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C ends a run with 130 and one sentence; its scratch database is gone."""
    monkeypatch.setenv("TMPDIR", str(shell.folder))
    with shell.process("run", *STATISTICS, "--out", "here") as process:
        wait_for(process, "refused")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.INTERRUPTED
        assert process.stderr is not None
        assert "stopped before the end" in process.stderr.read()
    assert not list(shell.folder.glob("tidewaiter-run-*"))


@pytest.mark.slow
def test_an_emulator(shell: CommandShell) -> None:
    """It prints where it listens and a whole configuration that works as it stands, and ends in good order."""
    with shell.process("emulate", "symplify", "--build-s", "0") as process:
        url = wait_for(process, "API").split()[1]
        assert process.stdout is not None
        printed = ""
        for line in process.stdout:
            printed += line
            if "Ctrl-C" in line:
                break
        shell.config.write_text(printed[printed.index("# Made by") : printed.index("Ctrl-C")])
        assert shell("run", "symplify", "statistics", "-p", "export_type=SENT", "--out", "here").exit_code == 0
        with urllib.request.urlopen(f"{url}/_control/requests") as reply:  # noqa: S310  # ours
            assert len(json.load(reply)) >= 3
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


@pytest.mark.slow
def test_an_emulator_writes_a_configuration(shell: CommandShell) -> None:
    """It is for its owner only; a second start keeps it, and another configuration is left as it is."""
    port = str(free_port())
    command = ("emulate", "symplify", "--port", port, "--write-config", "new.toml")
    for _ in range(2):
        with shell.process(*command) as process:
            wait_for(process, "status page is then at http://127.0.0.1:8090/")
    written = shell.folder / "new.toml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert "status page: http://127.0.0.1:8090/" in shell("check-config", "new.toml").stdout
    written.write_text(CONFIG)
    refused = shell(*command, code=ExitCode.FAILED)
    assert "new.toml exists already, with other content; leave out --write-config" in refused.stderr
    assert written.read_text() == CONFIG


def test_an_emulator_on_a_taken_port(shell: CommandShell) -> None:
    """A port that is taken is one sentence and 69."""
    with shell.process("emulate", "symplify") as process:
        port = wait_for(process, "API").strip().split(":")[2]
        shell("emulate", "symplify", "--port", port, code=ExitCode.UNAVAILABLE)


@pytest.mark.fault(55)
@pytest.mark.slow
def test_the_daemon_refuses_to_start_on_a_bad_configuration(shell: CommandShell) -> None:
    """Every fault, exit 78, and no log line: nothing was started."""
    shell.config.write_text('[accounts.shop]\nprovider = "nobody"')
    with shell.process("serve") as process:
        assert process.wait(30) == ExitCode.CONFIG
        assert process.stdout is not None
        assert process.stdout.read() == ""


@pytest.mark.slow
def test_the_demo(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo lands eleven files of five APIs, verifies them, and tells what the servers saw."""
    monkeypatch.setenv("TMPDIR", str(shell.folder))
    with start(shell.folder, ["demo"]) as process:
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, out + err
    assert err == ""
    assert len(re.findall(r"✓ succeeded .* ✓ yes", out)) == 11
    for output in (
        "expired",
        "received 207",
        "a callback ended the wait",
        "logins renewed a token",
        "never more than 3",
    ):
        assert output in out
    places = dict(line.split(maxsplit=1) for line in out.splitlines()[-3:])
    log = [json.loads(line) for line in Path(places["log"]).read_text().splitlines()]
    events = [line["event"] for line in log]
    assert events.count("job.finished") == 11
    assert events.count("session.renewed") >= 3
    assert {line["account"] for line in log if line["event"] == "job.finished"} == {
        "copernica", "oneall", "shareprogress", "socialgateway", "symplify"
    }  # fmt: skip
    assert log[-1]["event"] == "daemon.stopped"
    for secret in ("token", "private", "access", "key", "api-key", "password"):
        assert f"demo-{secret}" not in Path(places["log"]).read_text()
    assert Path(places["configuration"]).is_relative_to(shell.folder)


@pytest.mark.slow
def test_the_demo_keeps_its_page_up(shell: CommandShell, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens with the address of the page, which is still up when all has landed; Ctrl-C ends it in good order."""
    monkeypatch.setenv("TMPDIR", str(shell.folder))
    with start(shell.folder, ["demo", "--keep-running", "--remove-files"]) as process:
        address = wait_for(process, "Its page is at").split()[4]
        assert address in wait_for(process, "The page stays up at")
        with urllib.request.urlopen(address, timeout=20) as page:  # noqa: S310  # the demo's own address
            text = page.read().decode()
        assert "<title>" in text
        with urllib.request.urlopen(f"{address}v1/jobs?state=succeeded", timeout=20) as answer:  # noqa: S310  # as above
            assert len(json.load(answer)["jobs"]) == 11
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == ExitCode.OK
    assert not list(shell.folder.glob("tidewaiter-demo-*"))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="finds the daemon through Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_demo_is_stopped(shell: CommandShell, number: signal.Signals, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C, a kill and a closed terminal: 130, no daemon is left running, and the files go where that was asked."""
    monkeypatch.setenv("TMPDIR", str(shell.folder))
    with shell.process("demo", "--remove-files") as process:
        wait_for(process, "is polling")
        (daemon,) = children_of(process.pid)
        process.send_signal(number)
        assert process.wait(30) == ExitCode.INTERRUPTED
        assert process.stderr is not None
        assert process.stderr.read() == ""
    with pytest.raises(ProcessLookupError):
        os.kill(daemon, 0)
    assert not list(shell.folder.glob("tidewaiter-demo-*"))


@pytest.mark.fault(55)
def test_every_fault_of_a_configuration_at_once(shell: CommandShell) -> None:
    """What is wrong with tables, secret files, providers and their settings is told together, and nothing starts."""
    shell.config.write_text(
        '[worker]\nlease_s = -1\n[accounts.Shop]\nprovider = "symplify"\n[accounts.a]\nprovider = "symplfy"\n'
        '[accounts.b]\nprovider = "symplify"\n[accounts.b.settings]\nserver = "x"\ntoken_file = "nowhere"\n'
    )
    output = shell("serve", code=78).output
    for key in ("worker.lease_s", "accounts.Shop", "accounts.a.provider", "settings.server", "settings.customer_id"):
        assert key in output
    assert output.count("settings.token") == 1
    assert not (shell.folder / "tidewaiter.db").exists()
