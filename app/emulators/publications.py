"""The content of OneAll's snapshots: where a message was published and its counts; all follow from its token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

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
    told: dict[str, object] = {
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
        told["reshares"] = _by_readers(chance % 4, published)
    else:
        told["likes"] = _by_readers(chance % 7, published)
        told["comments"] = _by_readers(chance % 5, published, text="Well said")
    return told


def _by_readers(number: int, at: str, **more: str) -> dict[str, object]:
    entries = [{"user": {"name": f"reader {reader}"}, "date_creation": at, **more} for reader in range(1, number + 1)]
    return {"count": number, "entries": entries}
