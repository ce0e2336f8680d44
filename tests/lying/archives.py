"""Archives: the honest ones of a plan, and ways to make one that no correct client lands."""

import gzip
import io
import stat
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from tests.lying.plan import Plan

Members = Sequence[tuple[str, bytes]]

LARGEST_MEMBER: Final = 2_000_000
"""``bounds.largest_file_bytes`` of the accounts with archives."""
MOST_MEMBERS: Final = 12
"""``bounds.most_files`` of these accounts."""

_LOCAL_HEADER: Final = 30  # APPNOTE.TXT 6.3.10, 4.3.7: the fixed part, before the name
_SIZE_IN_DIRECTORY: Final = 24  # 4.3.12: the uncompressed size in an entry of the directory
_FLAGS_IN_DIRECTORY: Final = 8
_TAR_BLOCK: Final = 512
_OUTSIDE: Final = ("../outside.csv", "/etc/outside.csv", "C:\\outside.csv", "a/../../outside.csv", "..\\outside.csv")


def members_of(plan: Plan, version: int) -> Members:
    """The files in one version of a plan's archive: as many as its seed says, in a folder or not, or empty."""
    rand = Random(f"members-{plan.seed}")
    names = [("a.csv", "part/b.csv", "part/ü.csv")[number] for number in range(rand.choice((1, 2, 3)))]
    made = Random(f"members-{plan.seed}-{version}")
    size = max(1, plan.files[0].size // 9)
    return [
        (name, b"".join(b"%d,%d\r\n" % (row, made.getrandbits(40)) for row in range(size if number != 1 else 0)))
        for number, name in enumerate(names)
    ]


def archive_of(plan: Plan, version: int) -> bytes:
    """The plan's archive as an honest server has it."""
    return packed(plan.shape, members_of(plan, version))


def packed(shape: str, members: Members) -> bytes:
    """An archive of these members."""
    return _zipped(members) if shape == "zip" else _tarred(members)


def _zipped(members: Members) -> bytes:
    target = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        warnings.simplefilter("ignore", UserWarning)  # two members of one name are wanted here
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def _tarred(members: Members, *, links: Sequence[tuple[str, bytes]] = ()) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, kind in links:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, "/etc/hostname"
            archive.addfile(link)
    return gzip.compress(target.getvalue(), mtime=0)


# --- what no client lands ---------------------------------------------------------------------------------------------


def cut(_shape: str, whole: bytes, _members: Members, rand: Random) -> bytes:
    """Only its beginning."""
    return whole[: rand.randrange(len(whole))]


def flipped(shape: str, whole: bytes, members: Members, rand: Random) -> bytes:
    """One bit of the packed content is another; every byte of it is below a checksum."""
    first = _LOCAL_HEADER + len(members[0][0].encode()) if shape == "zip" else 10
    stop = whole.index(b"PK\x03\x04", 4) if shape == "zip" and len(members) > 1 else whole.rindex(b"PK\x01\x02") if (
        shape == "zip"
    ) else len(whole) - 8  # fmt: skip
    data = bytearray(whole)
    data[rand.randrange(first, max(first + 1, stop))] ^= 1
    return bytes(data)


def wrong_sizes(shape: str, whole: bytes, members: Members, rand: Random) -> bytes:
    """A member is said to be longer or shorter than it is."""
    if shape == "zip":
        data, at = bytearray(whole), whole.rindex(b"PK\x01\x02") + _SIZE_IN_DIRECTORY
        (size,) = struct.unpack_from("<I", data, at)
        struct.pack_into("<I", data, at, rand.choice((size + 5, 2 * size + 1, 1_000_000)))
        return bytes(data)
    tar = bytearray(gzip.decompress(whole))
    info = tarfile.TarInfo.frombuf(bytes(tar[:_TAR_BLOCK]), "utf-8", "strict")
    info.size += 1_000_000
    tar[:_TAR_BLOCK] = info.tobuf(tarfile.USTAR_FORMAT)[:_TAR_BLOCK]
    return gzip.compress(bytes(tar), mtime=0)


def bomb(shape: str, _whole: bytes, members: Members, rand: Random) -> bytes:
    """A member that unpacks to more than the account permits; in a ZIP it may be said to be small."""
    data = packed(shape, [*members, ("bomb.csv", bytes(LARGEST_MEMBER + 1))])
    if shape == "zip" and rand.random() < 0.5:
        lying = bytearray(data)
        struct.pack_into("<I", lying, data.rindex(b"PK\x01\x02") + _SIZE_IN_DIRECTORY, 100)
        return bytes(lying)
    return data


def too_many(shape: str, _whole: bytes, _members: Members, _rand: Random) -> bytes:
    """More members than the account permits files."""
    return packed(shape, [(f"{number}.csv", b"") for number in range(MOST_MEMBERS + 1)])


def twins(shape: str, _whole: bytes, members: Members, rand: Random) -> bytes:
    """Two members of one name, perhaps written in another way."""
    name = members[0][0]
    again = rand.choice((f"twin/{name}", f"./twin/{name}", f"twin//{name}", f"twin/./{name}"))
    return packed(shape, [*members, (f"twin/{name}", b"1"), (again, b"2")])


def outside(shape: str, _whole: bytes, members: Members, rand: Random) -> bytes:
    """A member whose path leads out of the archive."""
    return packed(shape, [*members, (rand.choice(_OUTSIDE), b"outside")])


def links(shape: str, _whole: bytes, members: Members, rand: Random) -> bytes:
    """A symbolic or hard link, or a device."""
    if shape != "zip":
        kinds = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE)
        return _tarred(members, links=[("link.csv", rand.choice(kinds))])
    target = io.BytesIO(_zipped(members))
    with zipfile.ZipFile(target, "a") as archive:
        link = zipfile.ZipInfo("link.csv")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/hostname")
    return target.getvalue()


def encrypted(shape: str, whole: bytes, _members: Members, _rand: Random) -> bytes:
    """A member that a password protects; in a tar, another archive after its end."""
    if shape != "zip":
        return gzip.compress(gzip.decompress(whole) + b"more" * _TAR_BLOCK, mtime=0)
    data, at = bytearray(whole), whole.rindex(b"PK\x01\x02") + _FLAGS_IN_DIRECTORY
    data[at] |= 1
    return bytes(data)


def no_archive(shape: str, _whole: bytes, members: Members, rand: Random) -> bytes:
    """Another kind of file, or nothing."""
    other = "tar" if shape == "zip" else "zip"
    return rand.choice((b"", b"id,value\r\n1,2\r\n", rand.randbytes(700), packed(other, members)))


Make = Callable[[str, bytes, Members, Random], bytes]
HOSTILE: Final[dict[str, Make]] = {
    "bomb": bomb, "too-many": too_many, "twins": twins, "outside": outside, "links": links, "locked": encrypted,
}  # fmt: skip
"""A client refuses these: the next request would bring the same."""
DAMAGED: Final[dict[str, Make]] = {"cut": cut, "flipped": flipped, "wrong-sizes": wrong_sizes, "none": no_archive}
"""A client asks for these again."""
