"""The identity of a file behind a link: a hash that stays the same when the link gets a new signature.

After new links a landed file is kept only if it is the same file. A file is identified by its URL without the
signature, by the rest of its request if that is no plain GET, and by its entry in the list: label, size, count, media
type and digests. A file with other values is another file and is downloaded again, which costs time but never lands a
wrong file. Only the SHA-256 of all this is kept, because a URL may hold a secret.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import unquote_plus, urlsplit

from tidewaiter.domain.http_values import Link
from tidewaiter.domain.manifest import ArchiveMember, Artifact


@dataclass(frozen=True, slots=True)
class _Signature:
    """One kind of signed URL: ``keys`` and ``prefixes`` are its signature if the URL has every key of ``where``.

    A key such as ``st`` or ``expires`` may mean anything elsewhere. All names are in lower case.
    """

    where: frozenset[str]
    keys: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()


def _signature(where: str, keys: str = "", *prefixes: str) -> _Signature:
    return _Signature(frozenset(where.split()), frozenset(keys.split()), prefixes)


# The place to add another kind of signed URL.
_SIGNATURES = (
    # https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
    _signature("x-amz-signature", "", "x-amz-"),
    # https://docs.aws.amazon.com/AmazonS3/latest/API/RESTAuthentication.html (version 2)
    _signature("awsaccesskeyid signature", "awsaccesskeyid signature expires x-amz-security-token"),
    # https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/private-content-signed-urls.html
    _signature("key-pair-id signature", "key-pair-id signature expires policy hash-algorithm"),
    # https://cloud.google.com/storage/docs/authentication/signatures (version 4, and before it version 2)
    _signature("x-goog-signature", "", "x-goog-"),
    _signature("googleaccessid signature", "googleaccessid signature expires"),
    # https://cloud.google.com/cdn/docs/using-signed-urls
    _signature("keyname signature", "keyname signature expires urlprefix"),
    # https://learn.microsoft.com/rest/api/storageservices/create-service-sas; sr, snapshot and versionid name the blob.
    _signature(
        "sig se sp",
        "sig se st sv sp spr sip si ss srt sdd skoid sktid skt ske sks skv saoid suoid scid sduoid skdutid ses",
    ),
    _signature("sig si sv", "sig sv si spr sip"),
    # https://www.alibabacloud.com/help/en/oss/developer-reference/add-signatures-to-urls (version 1 and 4)
    _signature("ossaccesskeyid signature", "ossaccesskeyid signature expires security-token"),
    _signature("x-oss-signature", "", "x-oss-signature", "x-oss-credential", "x-oss-date", "x-oss-expires"),
    # https://www.tencentcloud.com/document/product/436/7778
    _signature("q-signature", "x-cos-security-token", "q-"),
    # https://docs.openstack.org/swift/latest/api/temporary_url_middleware.html
    _signature("temp_url_sig", "temp_url_sig temp_url_expires temp_url_ip_range"),
    # Akamai's token authentication
    _signature("hdnts", "hdnts"),
    _signature("hdnea", "hdnea"),
    _signature("__token__", "__token__"),
    _signature("__gda__", "__gda__"),
)

# Names that many providers use for a signature. Such a key may also name the file, so these are left out of a URL only
# if no two links of the list are equal without them.
_PROBABLY = frozenset(
    {"access_token", "auth_token", "hmac", "jwt", "sas_token", "sig", "sign", "signature", "signed_token", "token"}
)
_PROBABLY_BESIDE = frozenset({"exp", "expire", "expires", "expires_at", "expiry"})


def identities(links: Sequence[Link], of: int = 0) -> tuple[str, ...]:
    """The identity of each link of one list, as lower-case hex; two that are equal mean the same file twice.

    Args:
        links: the whole list, because a key that is ambiguous in it is not left out of a URL.
        of: the number of the job's submit that made the files: another remote job makes other files.
    """
    shortened = [_text(link, of, probably=True) for link in links]
    complete = [_text(link, of, probably=False) for link in links]
    # Equal texts without the probable signatures must be equal with them, too.
    variants: dict[str, set[str]] = {}
    for text, other in zip(shortened, complete, strict=True):
        variants.setdefault(text, set()).add(other)
    chosen = [text if len(variants[text]) == 1 else other for text, other in zip(shortened, complete, strict=True)]
    return tuple(hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest() for text in chosen)


def joined(earlier: Sequence[Link], later: Sequence[Link], of: int = 0) -> tuple[Link, ...]:
    """The links of two lists in the order in which their files came first; the later link to a file replaces another.

    Args:
        earlier: one list.
        later: the list of a later reply.
        of: as for :func:`identities`.
    """
    every = (*earlier, *later)
    return tuple(dict(zip(identities(every, of), every, strict=True)).values())


def pair_files(listed: Sequence[str], recorded: Sequence[str | None]) -> dict[int, int]:
    """The recorded file of each listed one: place in the list to place among the recorded.

    Files of one identity are paired one to one. A file that an older version recorded without an identity is paired
    with none.
    """
    left: dict[str, list[int]] = {}
    for place, identity in enumerate(recorded):
        if identity is not None:
            left.setdefault(identity, []).append(place)
    counted = Counter(listed)
    for identity, places in left.items():
        del places[counted[identity] :]
    found: dict[int, int] = {}
    for place, identity in enumerate(listed):
        if same := left.get(identity):
            found[place] = same.pop(0)
    return found


def landed_archives(links: Sequence[str], recorded: Iterable[Artifact]) -> Mapping[int, tuple[Artifact, ...]]:
    """The archives of a list of which every member is recorded: their place in the list, and the members in order.

    Args:
        links: the identity of each file of the list. Of several archives of one identity the first counts.
        recorded: the artifacts of the job.
    """
    archives: dict[tuple[str, int, str], dict[int, Artifact]] = {}
    for artifact in recorded:
        member = ArchiveMember.read(artifact.identity)
        if member is not None:
            archives.setdefault((member.link, member.of, member.sha256), {})[member.place] = artifact
    places = {link: place for place, link in reversed(list(enumerate(links)))} if archives else {}
    return {
        places[link]: tuple(found[place] for place in sorted(found))
        for (link, of, _), found in archives.items()
        if len(found) == of and link in places
    }


def part_number(identity: str) -> int:
    """The number of a partial download, so that it is never continued as another file."""
    return int(identity[:15], 16)


def _text(link: Link, of: int, *, probably: bool) -> str:
    """Everything that identifies the file, as one text."""
    announced = (link.label, link.size, link.count, link.media_type, link.sha256, link.md5, link.gzip)
    if not link.url:
        announced = (link.label, None, None, None, link.sha256, link.md5, link.gzip)
    # Of plain files with a plain GET nothing is added, so that the identities of earlier versions stay.
    archive = () if link.archive is None else (link.archive,)
    asked = (link.method, link.headers, link.body)
    more = archive if asked == ("GET", (), None) else (*archive, *asked)
    return json.dumps([of, _address(link.url, probably=probably), *announced, *more])


def _address(url: str, *, probably: bool) -> list[object]:
    """A URL without its signature: scheme, host, path and the rest of the query, sorted by name."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return [url]
    given = [(pair, unquote_plus(pair.partition("=")[0]).lower()) for pair in parts.query.split("&") if pair]
    signing = frozenset(_signing([name for _, name in given], probably=probably))
    # Sorted by name alone: values of one name keep their order.
    kept = [pair for pair, name in sorted(given, key=lambda one: one[1]) if name not in signing]
    return [parts.scheme.lower(), parts.netloc.lower(), parts.path, kept]


def _signing(names: Sequence[str], *, probably: bool) -> Iterator[str]:
    present = frozenset(names)
    for one in _SIGNATURES:
        if one.where <= present:
            yield from one.keys
            yield from (name for name in names if name.startswith(one.prefixes))
    if probably and not present.isdisjoint(_PROBABLY):
        yield from _PROBABLY
        yield from _PROBABLY_BESIDE
