"""What stores of files say in place of a file: S3 and those that speak like it in XML, Azure in a header too.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
https://cloud.google.com/storage/docs/xml-api/reference-status,
https://learn.microsoft.com/en-us/rest/api/storageservices/common-rest-api-error-codes.
"""

import re
from typing import TypeAlias

from app.domain.outcome import LinksExpired, Retry
from app.providers.defaults import is_success
from app.providers.reading import Reading

StorageTrouble: TypeAlias = LinksExpired | Retry

_LOOKED_AT = 4096
_CODE = re.compile(rb"<Code>\s{0,20}([A-Za-z.]{1,80})\s{0,20}</Code>")
_ERROR = re.compile(
    rb"(?:\xef\xbb\xbf)?\s{0,80}(?:<\?xml[^>]{0,200}\?>)?\s{0,80}<Error(?:\s[^>]{0,200})?>\s{0,80}<Code>"
)
_AZURE_CODE = "x-ms-error-code"
_OLD_LINK_WORDS = (b"Request has expired", b"Signature not valid in the specified time frame")
# A signature that no longer serves, or whose token does not: another link does.
_OLD_LINK = frozenset({
    "AuthenticationFailed", "AuthorizationQueryParametersError", "ExpiredRequest", "ExpiredToken",
    "InvalidToken", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch", "TokenRefreshRequired",
})  # fmt: skip
_OF_THE_ACCOUNT = frozenset({"AuthenticationFailed", "InvalidToken"})
# Whatever the status says: S3 sends RequestTimeout with 400, and others a fault of theirs with 200.
_NOT_NOW = frozenset({
    "Busy", "InternalError", "OperationAborted", "OperationTimedOut", "RequestLimitExceeded", "RequestTimeout",
    "ServerBusy", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException", "TooManyRequests",
})  # fmt: skip
_TOLD_BY_STATUS = frozenset({429, 503})


def storage_trouble(reading: Reading, reason: str, wait_s: float | None, *, own: bool) -> StorageTrouble | None:
    """Why an object storage does not give a file; ``None`` where its reply is not known.

    Args:
        reading: the head of the reply, with the first bytes of its body.
        reason: as a person will read it.
        wait_s: what Retry-After asked for, in seconds.
        own: whether the reply came from the provider's origin: there some codes concern the account.
    """
    said = _code_in(reading)
    if is_success(reading.status):
        return Retry(reason, wait_s) if said in _NOT_NOW and _ERROR.match(reading.body) else None
    old = said in _OLD_LINK and not (own and said in _OF_THE_ACCOUNT)
    if old or any(words in reading.body[:_LOOKED_AT] for words in _OLD_LINK_WORDS):
        return LinksExpired(reason)
    if said in _NOT_NOW and not (own and reading.status in _TOLD_BY_STATUS):
        return Retry(reason, wait_s)
    return None


def _code_in(reading: Reading) -> str:
    found = _CODE.search(reading.body[:_LOOKED_AT])
    return found[1].decode("ascii") if found is not None else (reading.headers.get(_AZURE_CODE) or "").strip()
