"""Error replies of file stores, in place of a file."""

import pytest

from tests.support.spec_samples import BASE, NOW, job_with, operation_of, reply_of
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.outcome import LinksExpired, Refused, Retry, Throttled

ELSEWHERE = "https://files.example.org/x?Signature=abc"
OURS = f"{BASE}/file"


def code(name: str, message: str = "said") -> bytes:
    """An error as S3 writes it."""
    return f'<?xml version="1.0"?>\n<Error><Code>{name}</Code><Message>{message}</Message></Error>'.encode()


def read(status: int, body: bytes, url: str = ELSEWHERE, **headers: str) -> type | None:
    """What kind of outcome a reply to a download is."""
    reply = reply_of(status, body, url, **headers)
    outcome = operation_of().read_file(job_with(), Link(url), reply, NOW)
    return None if outcome is None else type(outcome)


@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    "name",
    [
        "ExpiredToken", "ExpiredRequest", "RequestExpired", "SignatureDoesNotMatch", "RequestTimeTooSkewed",
        "TokenRefreshRequired", "AuthorizationQueryParametersError", "AuthenticationFailed", "InvalidToken",
    ],
)  # fmt: skip
def test_a_link_that_no_longer_serves(status: int, name: str) -> None:
    """Another one does, whatever the status says."""
    assert read(status, code(name)) is LinksExpired


@pytest.mark.parametrize("status", [200, 400, 409, 500, 503])
@pytest.mark.parametrize(
    "name", ["RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "ServerBusy", "OperationAborted"]
)
def test_what_passes(status: int, name: str) -> None:
    """S3 says RequestTimeout with 400, and others a fault of theirs with 200: neither is final, nor a file."""
    assert read(status, code(name)) is Retry


def test_azure_says_it_in_a_header() -> None:
    """A HEAD has no body."""
    assert read(403, b"", x_ms_error_code="AuthenticationFailed") is LinksExpired
    assert read(400, b"", x_ms_error_code="OperationTimedOut") is Retry


def test_what_is_final_stays_so() -> None:
    """A fault that neither another link nor time repairs."""
    assert read(400, code("InvalidArgument")) is Refused
    assert read(400, b"RequestTimeout") is Refused
    assert read(400, b"") is Refused


def test_an_xml_file_is_a_file() -> None:
    """Only a document that is an error of a store from its first element on counts."""
    assert read(200, b"<rows><Error><Code>SlowDown</Code></Error></rows>") is None
    assert read(200, code("Smith")) is None


def test_at_the_providers_own_origin() -> None:
    """There 429 and 503 throttle the account, and a credential that is refused is the account's."""
    assert read(503, code("SlowDown"), OURS) is Throttled
    assert read(400, code("RequestTimeout"), OURS) is Retry
    assert read(403, code("ExpiredToken"), OURS) is LinksExpired
    assert read(403, code("AuthenticationFailed"), OURS) is not LinksExpired
