"""How OneAll wraps its replies, and the contents of its snapshots, which follow from the message's token.

Source: the examples in http://docs.oneall.com/api/resources/sharing-analytics/.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final, TypeAlias
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from tidewaiter.clock import Clock
from tidewaiter.emulators.emulated_replies import Reply, json_reply

ReplyData: TypeAlias = dict[str, object]

DONE: Final = "Your request has been processed successfully"
_ZONE: Final = timezone(timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Wraps replies with one server's clock.

    ``http_statuses`` has the HTTP status of a reply by the code in its envelope, if the two differ. Without
    ``error_info`` errors have no ``info``.
    """

    clock: Clock
    http_statuses: Mapping[int, int]
    error_info: bool

    def success(self, resource: str, data: ReplyData | None = None, info: str = DONE) -> Reply:
        """A plain success."""
        return self.reply(resource, 200, "success", info, data)

    def error(self, resource: str, code: int, info: str) -> Reply:
        """An error, which never has a result."""
        return self.reply(resource, code, "error", info if self.error_info else None)

    def reply(self, resource: str, code: int, flag: str, info: str | None, data: ReplyData | None = None) -> Reply:
        """Any reply about ``resource``, which is the path of the request; ``data`` is its data."""
        status: ReplyData = {"flag": flag, "code": code}
        if info is not None:
            status["info"] = info
        response: ReplyData = {"request": {"date": date_text(self.clock.now()), "resource": resource, "status": status}}
        if data is not None:
            response["result"] = {"data": data}
        return json_reply({"response": response}, self.http_statuses.get(code, code))


def date_text(at: float) -> str:
    """A time (epoch seconds) as this API writes it, in the form of RFC 2822."""
    return format_datetime(datetime.fromtimestamp(int(at), _ZONE))


_PROVIDERS: Final = ("twitter", "facebook", "linkedin")
_USERS: Final = 3


@dataclass(frozen=True, slots=True)
class Publication:
    """One message on one network on behalf of one user; an identity is that user there."""

    provider: str
    user_token: str
    identity_token: str


def token_of(*names: object) -> str:
    """A token in the form of a UUID, always the same for the same names."""
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, names))))


def publications_of(message_token: str, number: int) -> Sequence[Publication]:
    """The first ``number`` publications of a message: all of one user, on each network in turn."""
    user = crc32(message_token.encode()) % _USERS
    providers = [_PROVIDERS[place % len(_PROVIDERS)] for place in range(number)]
    return [
        Publication(provider, token_of("user", user), token_of("user", user, "identity", provider))
        for provider in providers
    ]


def publication_snapshots(message_token: str, number: int, published: str) -> dict[str, object]:
    """The counts and the entries for each publication; ``published`` is its date.

    Source: http://docs.oneall.com/api/resources/sharing-analytics/read-snapshot-details/, which says that the content
    depends on the network.
    """
    entries = [
        _publication_snapshot(message_token, place, publication, published)
        for place, publication in enumerate(publications_of(message_token, number))
    ]
    return {"count": len(entries), "entries": entries}


def _publication_snapshot(
    message_token: str, place: int, publication: Publication, published: str
) -> dict[str, object]:
    chance = crc32(f"{message_token}/{place}".encode())
    shorturl = {"shorturl_token": f"{chance:08x}", "short_url": f"http://1all.co/{chance:08x}/"}
    entry: dict[str, object] = {
        "publication": {
            "provider": publication.provider,
            "user_token": publication.user_token,
            "identity_token": publication.identity_token,
            "date_publication": published,
            "shorturls": {"count": 1, "entries": [shorturl]},
        },
        "referrals": {"count": chance % 97},
    }
    if publication.provider == "twitter":
        entry["reshares"] = _by_readers(chance % 4, published)
    else:
        entry["likes"] = _by_readers(chance % 7, published)
        entry["comments"] = _by_readers(chance % 5, published, text="Well said")
    return entry


def _by_readers(number: int, at: str, **more: str) -> dict[str, object]:
    entries = [{"user": {"name": f"reader {reader}"}, "date_creation": at, **more} for reader in range(1, number + 1)]
    return {"count": number, "entries": entries}
