"""Sentences about replies, for people: with the provider's own message, or the beginning of the body."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from http.client import responses

from tidewaiter.domain.http_values import Link
from tidewaiter.domain.request_signing import RequestSigner
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.replies.extract import Pick
from tidewaiter.providers.replies.reply import Reading, excerpt
from tidewaiter.providers.replies.reply_defaults import is_success
from tidewaiter.providers.replies.reply_headers import parse_http_date
from tidewaiter.providers.values.texts import as_text, quoted, shorten

_LABELS_AT_ONCE = 100
_REFUSALS = frozenset({400, 401, 403})
_LEAST_SKEW_S = 30.0  # a slow reply explains less

_LOOKED_AT = 4096
_USER = re.compile(r"^((?:[A-Za-z][A-Za-z0-9+.-]{0,30}:)?//)[^/?#@]*@")


class Messages:
    """Writes sentences about replies, without secrets of the account.

    Args:
        error: finds the provider's own message in a reply.
        redactor: knows the secrets.
        signer: of an account that signs its requests, to which the time matters.
    """

    __slots__ = ("_error", "_redactor", "_signer")

    def __init__(self, error: Pick, redactor: Redactor, signer: RequestSigner | None = None) -> None:
        self._error = error
        self._redactor = redactor
        self._signer = signer

    def reason(self, reading: Reading) -> str:
        """The status and the provider's message: ``HTTP 400: unknown period``."""
        message = self._provider_message(reading) or excerpt(reading, self._redactor) or self._phrase(reading)
        return f"{_with_status(reading, message)}{self._clock_note(reading)}"

    def of_submit(self, reading: Reading) -> str:
        """The same for a reply to a submit. For a redirect it names the target, which may be the remote job."""
        return f"{self.reason(reading)}{self._destination(reading)}"

    def of_login(self, reading: Reading) -> str:
        """The same for a reply to a login. The body of a 2xx is not quoted, because it may contain a token."""
        if is_success(reading.status):
            return _with_status(reading, self._provider_message(reading))
        return self.reason(reading)

    def job_failure(self, reading: Reading, word: str | None) -> str:
        """The provider's reason for a failed job: its word, and its message if there is one."""
        if word is None:
            return f"the provider says {self.reason(reading)}"
        message = self._provider_message(reading)
        sentence = f"the provider says {self.note(word)}"
        return f"{sentence}: {message}" if message else sentence

    def unreadable(self, reading: Reading) -> str:
        """Why a reply that should be JSON, or XML, could not be read."""
        if reading.truncated:
            what = f"HTTP {reading.status}, and a body too long to be read as {reading.form}"
            return f"{what}: raise largest_reply_bytes in the account's bounds"
        if reading.fault is not None:
            return f"HTTP {reading.status}, and {reading.fault}"
        if not reading.body.strip():
            return f"HTTP {reading.status}, and an empty body instead of {reading.form}"
        why = "" if reading.detail is None else f" ({reading.detail})"
        return f"HTTP {reading.status}, and a body that is not {reading.form}{why}: {excerpt(reading, self._redactor)}"

    def no_handle(self, reading: Reading) -> str:
        """Why a reply to a submit cannot be used: it has no handle."""
        what = self.unreadable(reading) if reading.malformed else f"the reply has no handle: {self.unmapped(reading)}"
        return f"{what}{self._destination(reading)}"

    def unmapped(self, reading: Reading, word: str | None = None) -> str:
        """A reply that no rule matches: its status, its word if it has one, and its beginning."""
        what = f"HTTP {reading.status}" if word is None else f"HTTP {reading.status}, status {self.note(word)!r}"
        return f"{what}: {excerpt(reading, self._redactor)}".removesuffix(": ")

    def note(self, text: str | None, length: int = 100) -> str | None:
        """A status word or progress of the provider as a short line; ``None`` if there is none."""
        return None if text is None else quoted(text, self._redactor, length) or None

    def hide(self, secrets: Iterable[str]) -> None:
        """Take these values out of all that is written from now on: a reply has named them, and may be quoted."""
        for secret in secrets:
            self._redactor.add_signature(secret)

    def redact_labels(self, links: tuple[Link, ...]) -> tuple[Link, ...]:
        """The links, with secrets removed from their labels and media types."""
        return tuple(
            link
            for start in range(0, len(links), _LABELS_AT_ONCE)
            for link in self._redact_some(links[start : start + _LABELS_AT_ONCE])
        )

    def _redact_some(self, links: Sequence[Link]) -> Sequence[Link]:
        every = "\n".join(f"{link.label}\n{link.media_type}" for link in links)
        if self._redactor.clean(every) == every:
            return links
        return [self._redact(link) for link in links]

    def _redact(self, link: Link) -> Link:
        kind = link.media_type
        return replace(
            link,
            label=self._redactor.clean(link.label),
            media_type=None if kind is None else self._redactor.clean(kind),
        )

    def _destination(self, reading: Reading) -> str:
        """The target of a redirect that was not followed, without query, fragment and user, which may be secret."""
        location = reading.headers.get("location", "").strip() if 300 <= reading.status < 400 else ""
        if not location:
            return ""
        # Cut first, because a field may be long.
        shown = _USER.sub(r"\1", quoted(location[:_LOOKED_AT], self._redactor, _LOOKED_AT))
        address, mark, _ = shown.partition("?") if "?" in shown else shown.partition("#")
        address = address.partition("#")[0]
        return f" (Location: {shorten(address)}{f'{mark}[redacted]' if mark else ''})"

    def _clock_note(self, reading: Reading) -> str:
        """Whether a wrong clock may be the reason: the time in the signature was far from that of the reply."""
        signed_at = None if self._signer is None else self._signer.signed_at
        if signed_at is None or reading.foreign or reading.status not in _REFUSALS:
            return ""
        replied_at = parse_http_date(reading.headers.get("date", "").strip(" \t"), signed_at)
        if replied_at is None or abs(signed_at - replied_at) < _LEAST_SKEW_S:
            return ""
        side = "ahead of" if signed_at > replied_at else "behind"
        return (
            f". The time in the signature is {abs(signed_at - replied_at):,.0f} s {side} the provider's clock: "
            "set this machine's clock right"
        )

    def _phrase(self, reading: Reading) -> str:
        """The reason phrase, if it is not the standard one: some providers put their message there."""
        if reading.phrase.casefold() == responses.get(reading.status, "").casefold():
            return ""
        return quoted(reading.phrase, self._redactor)

    def _provider_message(self, reading: Reading) -> str | None:
        text = as_text(self._error(reading))
        return None if text is None else quoted(text, self._redactor)


def _with_status(reading: Reading, message: str | None) -> str:
    return f"HTTP {reading.status}: {message}" if message else f"HTTP {reading.status}"
