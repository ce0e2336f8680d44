"""The table `storage`: a folder or a bucket, and the faults of each."""

from pathlib import Path

import pytest

from tests.support.configurations import faults_of, write
from tidewaiter.config import load


def test_a_bucket(tmp_path: Path) -> None:
    """A bucket in place of a folder: its options come from the file, the environment and secret files."""
    (tmp_path / "secret").write_text("canary-of-file\n")
    text = """
    [storage]
    url = "s3://exports/of/the-shop/"
    [storage.options]
    region = "eu-central-1"
    access_key_id = "AKIA"
    secret_access_key_file = "secret"
    session_token = "canary-in-line"
    """
    config = load(write(tmp_path, text), {"TIDEWAITER__STORAGE__OPTIONS__VIRTUAL_HOSTED_STYLE_REQUEST": "true"})
    assert (config.storage.root, config.storage.place) == (None, "s3://exports/of/the-shop")
    assert config.storage.options.given == {
        "region": "eu-central-1",
        "access_key_id": "AKIA",
        "secret_access_key": "canary-of-file",
        "session_token": "canary-in-line",
        "virtual_hosted_style_request": True,
    }
    assert set(config.secrets) == {"canary-of-file", "canary-in-line"}
    assert "canary" not in repr(config)


def test_a_bucket_out_of_the_environment(tmp_path: Path) -> None:
    """The URL alone is enough: credentials are then those of the machine."""
    config = load(write(tmp_path, ""), {"TIDEWAITER__STORAGE__URL": "gs://exports"})
    assert (config.storage.root, config.storage.place, config.storage.options.given) == (None, "gs://exports", {})


def test_a_folder_is_the_place(tmp_path: Path) -> None:
    """What stands before the key of a file."""
    assert load(write(tmp_path, ""), {}).storage.place == str(tmp_path / "exports")


@pytest.mark.parametrize(
    ("text", "key", "reason"),
    [
        ('url = "s3://a-b"\nroot = "here"', "storage.root", "is given together with url; give one of them"),
        ('url = "ftp://canary"', "storage.url", "must begin with s3://, gs:// or az://"),
        ('url = "canary"', "storage.url", "must begin with s3://, gs:// or az://"),
        ('url = "s3://"', "storage.url", "must name a bucket, such as s3://bucket or s3://bucket/prefix"),
        ('url = "az://user:canary@exports"', "storage.url", "must name a bucket, such as az://bucket"),
        ('url = "s3://exports//canary"', "storage.url", "must end in a plain prefix"),
        ('url = "s3://exports/../canary"', "storage.url", "must end in a plain prefix"),
        ('url = "s3://exports/canary?x=y"', "storage.url", "must end in a plain prefix"),
        ('url = "s3://exports"\noptions.regoin = "canary"', "storage.options.regoin", "did you mean region?"),
        ('url = "s3://exports"\noptions.allow_http = "canary"', "storage.options.allow_http", "true or false"),
        (
            'url = "s3://exports"\noptions.checksum_algorithm = "canary"',
            "storage.options.checksum_algorithm",
            "must be 'sha256' or 'crc64nvme'",
        ),
        ('url = "gs://exports"\noptions.region = "canary"', "storage.options", "region is no option of gs://; it has"),
        ('options.region = "canary"', "storage.options", "belong to a url; a folder has none"),
        (
            'url = "s3://exports"\noptions.endpoint = "http://canary"',
            "storage.options",
            "endpoint is not encrypted; allow_http = true permits that",
        ),
    ],
)
def test_storages_that_cannot_be(tmp_path: Path, text: str, key: str, reason: str) -> None:
    """Each fault has its key, what is wrong, and how to fix it; other faults are reported with it."""
    faults = faults_of(write(tmp_path, f"[storage]\n{text}\n[worker]\nlease_s = 0"))
    assert set(faults) == {key, "worker.lease_s"}
    assert reason in faults[key].reason
    assert "canary" not in faults[key].reason
