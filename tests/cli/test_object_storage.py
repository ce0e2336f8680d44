"""Whole runs into a bucket: a real daemon, an emulated provider, and a real S3 server."""

import hashlib
import json
import signal

import pytest

from tests.cli.command_shell import CommandShell
from tests.cli.commands import STATISTICS, lines_of, wait_for
from tests.support.s3 import Bucket


def keep_in(bucket: Bucket, shell: CommandShell) -> str:
    """Configure the bucket as the storage, the secret in a file; the URL."""
    (shell.folder / "secret").write_text(str(bucket.server.options["secret_access_key"]))
    url = f"s3://{bucket.name}/tide"
    table = (
        f'url = "{url}"\n[storage.options]\nendpoint = "{bucket.server.endpoint}"\nallow_http = true\n'
        'region = "us-east-1"\naccess_key_id = "tests"\nsecret_access_key_file = "secret"'
    )
    shell.config.write_text(shell.config.read_text().replace('root = "landed"', table))
    return url


@pytest.mark.slow
def test_a_daemon_lands_in_a_bucket(emulated: CommandShell, bucket: Bucket) -> None:
    """The object and its manifest are there, whole; the URL is told in place of a path, and the secret nowhere."""
    url = keep_in(bucket, emulated)
    with emulated.process("serve") as daemon:
        wait_for(daemon, "daemon.started")
        job = emulated.json("submit", *STATISTICS, "--wait", "--timeout", "30")
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(30) == 0
        log = lines_of(daemon)
    (artifact,) = job["artifacts"]
    assert artifact["path"] == f"{url}/{artifact['key']}"
    shown = emulated("jobs", "show", str(job["id"])).stdout
    assert artifact["path"] in shown
    folder = f"tide/{artifact['key'].rpartition('/')[0]}"
    assert bucket.listing() == sorted([f"tide/{artifact['key']}", f"{folder}/manifest.json"])
    assert hashlib.sha256(bucket.read(f"tide/{artifact['key']}")).hexdigest() == artifact["sha256"]
    manifest = json.loads(bucket.read(f"{folder}/manifest.json"))
    assert manifest["artifacts"][0]["sha256"] == artifact["sha256"]
    assert not (emulated.folder / "landed").exists()
    assert "canary-secret" not in json.dumps(log)
    assert log[-1]["event"] == "daemon.stopped"


@pytest.mark.slow
def test_a_run_into_a_folder_needs_no_bucket(emulated: CommandShell, bucket: Bucket) -> None:
    """`run --out` writes where it was told, whatever the daemon's storage is."""
    keep_in(bucket, emulated)
    job = emulated.json("run", *STATISTICS, "--out", "here")
    assert (emulated.folder / job["artifacts"][0]["path"]).is_file()
    assert bucket.listing() == []


def test_the_daemon_refuses_a_bucket_that_cannot_be(shell: CommandShell) -> None:
    """An option that its client refuses is told with its key, and nothing is started."""
    shell.config.write_text('[storage]\nurl = "gs://exports"\noptions.service_account_key = "canary-key"\n')
    output = shell("serve", code=78).output
    assert "storage.url: " in output
    assert "service account" in output
    assert "canary-key" not in output
    assert not (shell.folder / "tidewaiter.db").exists()
