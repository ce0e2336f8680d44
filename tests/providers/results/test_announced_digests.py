"""Announced digests in every form that providers write; an unreadable one is never ignored."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.spec_samples import HEAD, NOW, SUBMIT, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import Ready
from tidewaiter.providers.results.announced_digests import Algorithm, DigestError, read_digest

SHA = hashlib.sha256(b"rows")
MD5 = hashlib.md5(b"rows")  # noqa: S324  # a checksum


def base64_of(digest: bytes) -> str:
    """As RFC 4648 writes it."""
    return base64.b64encode(digest).decode()


def url_safe(digest: bytes) -> str:
    """As base64url writes it, without padding."""
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def forms(digest: bytes, *names: str) -> list[str]:
    """A digest as providers write it."""
    bare = [digest.hex(), digest.hex().upper(), base64_of(digest), base64_of(digest).rstrip("="), url_safe(digest)]
    named = [f"{name}{mark}{form}" for name in names for mark in (":", "=", "-", ": ", "=:") for form in bare]
    # RFC 9530 puts the Base64 between colons.
    plain = [f"{form}:" if "=:" in form else form for form in [*bare, *named]]
    return [*plain, *(f'"{form}"' for form in plain), *(f" '{form}' " for form in bare), f":{base64_of(digest)}:"]


@pytest.mark.parametrize("form", forms(SHA.digest(), "sha256", "SHA-256", "sha-256"))
def test_every_form_of_sha256(form: str) -> None:
    """Hex, Base64 and base64url; quoted; with the algorithm before it."""
    assert read_digest(form, "sha256") == SHA.hexdigest()


@pytest.mark.parametrize("form", forms(MD5.digest(), "md5", "MD5"))
def test_every_form_of_md5(form: str) -> None:
    """Content-MD5 and Google's md5Hash are Base64."""
    assert read_digest(form, "md5") == MD5.hexdigest()


def test_one_of_a_list() -> None:
    """RFC 3230, RFC 9530 and x-goog-hash list several algorithms."""
    both = f"crc32c=n03x6A==,md5={base64_of(MD5.digest())}, sha-256=:{base64_of(SHA.digest())}:"
    assert read_digest(both, "md5") == MD5.hexdigest()
    assert read_digest(both, "sha256") == SHA.hexdigest()


@pytest.mark.parametrize("value", [None, "", "  "])
def test_nothing_is_announced(value: str | None) -> None:
    """Null and blank text announce nothing."""
    assert read_digest(value, "sha256") is None


@pytest.mark.parametrize(
    "value",
    [
        "no digest",
        "abc123",
        MD5.hexdigest(),
        f"md5:{MD5.hexdigest()}",
        f"sha512:{SHA.hexdigest()}",
        SHA.hexdigest()[:-1],
        f"{SHA.hexdigest()}-5",
        f'W/"{SHA.hexdigest()}"',
        "z" * 64,
        f"sha256:{base64_of(MD5.digest())}",
        17,
        True,
        [SHA.hexdigest()],
        {"sha256": SHA.hexdigest()},
    ],
)
def test_what_cannot_be_read(value: object) -> None:
    """It is an error, never silence."""
    with pytest.raises(DigestError, match="cannot be read as a digest of sha256"):
        read_digest(value, "sha256")  # type: ignore[arg-type]


@pytest.mark.slow
@given(value=st.one_of(st.text(), st.integers(), st.none()), algorithm=st.sampled_from(["sha256", "md5"]))
def test_it_is_a_digest_or_an_error(value: str | int | None, algorithm: Algorithm) -> None:
    """Whatever was announced."""
    try:
        digest = read_digest(value, algorithm)
    except DigestError:
        return
    assert digest is None or len(digest) == {"sha256": 64, "md5": 32}[algorithm]


LISTED = (
    HEAD
    + SUBMIT
    + """
[operations.report.poll]
url = "/jobs/${handle}"
rules = [{ then = "ready" }]
[operations.report.results.files]
each = "files"
size = "bytes"
sha256 = "sum"
md5 = "md5"
"""
)


def link_to(**announced: str | int) -> Link:
    """The link that a list with one file leads to."""
    operation = operation_of(LISTED)
    reply = reply_of(200, {"files": [{"url": "/f", **announced}]})
    ready = operation.read_poll(job_with("1"), reply, NOW)
    assert isinstance(ready, Ready)
    (link,) = ready.links
    return link


def test_a_link_says_which_digest_could_not_be_read() -> None:
    """It goes with the link to the worker, which logs it; what can be read is used all the same."""
    link = link_to(sum="soon", md5=base64_of(MD5.digest()), bytes=0)
    assert (link.sha256, link.md5, link.size) == (None, MD5.hexdigest(), 0)
    assert link.unread == "sha256: 'soon' cannot be read as a digest of sha256"
    assert Link.from_json(link.to_json()) == link
    assert link_to(sum=f"sha256:{SHA.hexdigest()}").unread is None
