"""Archives: what their members are, and every kind of archive that is refused or damaged."""

import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
from collections.abc import Callable

import pytest

from tidewaiter.worker.archive_reading import (
    ArchiveBrokenError,
    ArchiveLimits,
    ArchiveRefusedError,
    Member,
    open_archive,
)

LIMITS = ArchiveLimits(most_members=20, largest_bytes=200_000_000)
MIB = 1_048_576


def zipped(*members: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP archive."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


def tarred(*members: tuple[str | tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar archive, without gzip."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=form) as archive:
        for name, content in members:
            info = tarfile.TarInfo(name) if isinstance(name, str) else name
            info.size = info.size or len(content)
            archive.addfile(info, io.BytesIO(content))
    return data.getvalue()


def of_kind(kind: bytes, name: str = "a", target: str = "b") -> tarfile.TarInfo:
    """A tar member that is no file."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def unpacked(kind: str, data: bytes, limits: ArchiveLimits = LIMITS) -> dict[str, bytes]:
    """Every member of an archive."""
    archive = open_archive(kind, io.BytesIO(data), len(data), limits)
    found = {member.path: b"" for member in archive.members}
    assert [member.size for member in archive.members] >= [0] * len(found)
    paths, ends = list(found), 0
    for place, piece in archive.pieces():
        found[paths[place]] += piece
        ends += not piece
    assert ends == len(found)
    return found


FILES = {"rows.csv": b"a,b\n1,2\n", "2024/more.csv": b"x" * 300_000, "empty": b""}


def test_the_members_of_archives() -> None:
    """Of every kind; folders are no members, and archives within stay packed."""
    assert unpacked("zip", zipped(("2024/", b""), *FILES.items())) == FILES
    assert unpacked("zip", zipped(*FILES.items(), method=zipfile.ZIP_STORED)) == FILES
    folder = of_kind(tarfile.DIRTYPE, "2024")
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT):
        plain = tarred((folder, b""), *FILES.items(), form=form)
        assert unpacked("tar.gz", gzip.compress(plain)) == FILES
        assert unpacked("tar.gz", plain) == FILES
    assert unpacked("zip", zipped()) == {}
    assert unpacked("tar.gz", gzip.compress(tarred())) == {}
    nested = zipped(("b.zip", zipped(("c", b"1"))))
    assert unpacked("zip", nested) == {"b.zip": zipped(("c", b"1"))}
    archive = open_archive("zip", io.BytesIO(nested), len(nested), LIMITS)
    assert archive.members == (Member("b.zip", len(zipped(("c", b"1")))),)


def test_names_of_windows_and_of_two_cases() -> None:
    """Backslashes separate folders; two names that differ by case only are two members."""
    assert set(unpacked("zip", zipped(("a\\b.csv", b"1"), ("A/b.csv", b"2"), ("c\\", b"")))) == {"a/b.csv", "A/b.csv"}
    long = "d/" * 60 + "x" * 120
    assert unpacked("tar.gz", tarred((long, b"1"))) == {long: b"1"}


def test_a_tar_archive_without_its_end_marker() -> None:
    """Some writers leave it out; gzip says that nothing is missing."""
    plain = tarred(("a", b"1" * 512))[:1024]
    assert unpacked("tar.gz", gzip.compress(plain)) == {"a": b"1" * 512}


def _mode(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, mode << 16
    return info


def _encrypted() -> bytes:
    data = bytearray(zipped(("secret.csv", b"1")))
    for signature, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + at] |= 1
    return bytes(data)


def _renamed(data: bytes, old: bytes, new: bytes) -> bytes:
    return data.replace(old, new)


def _sparse() -> bytes:
    info = tarfile.TarInfo("holes")
    info.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "100000000", "GNU.sparse.name": "holes"}
    return tarred((info, b"1"))


def _negative() -> bytes:
    data = bytearray(tarred(("a", b"")))
    data[124:136] = b"\xff" * 11 + b"\x00"
    data[148:156] = b"        "
    data[148:156] = b"%06o\0 " % sum(data[:512])
    return bytes(data)


def _long_header() -> bytes:
    info = tarfile.TarInfo("a")
    info.pax_headers = {"comment": "1" * 20_000}
    return tarred((info, b"1"))


def _huge_directory() -> bytes:
    """A directory that claims 2 GiB in an archive of as many bytes as it has to have."""
    data = bytearray(zipped(("a", b"1")))
    end = data.index(b"PK\x05\x06")
    data[end + 12 : end + 16] = struct.pack("<I", MIB * 3)
    return bytes(3 * MIB) + bytes(data)


OUT = "a member whose path leads out of it"
REFUSED: list[tuple[str, str, bytes | Callable[[], bytes], str]] = [
    ("parent", "zip", zipped(("../x", b"1")), OUT),
    ("inner parent", "zip", zipped(("a/../../x", b"1")), OUT),
    ("windows parent", "zip", zipped(("a\\..\\..\\x", b"1")), OUT),
    ("absolute", "zip", zipped(("/etc/x", b"1")), OUT),
    ("drive", "zip", zipped(("C:\\x", b"1")), OUT),
    ("drive relative", "zip", zipped(("c:x", b"1")), OUT),
    ("share", "zip", zipped(("\\\\host\\x", b"1")), OUT),
    ("symbolic link", "zip", zipped((_mode("a", stat.S_IFLNK | 0o777), b"/etc/passwd")), "a link or a device"),
    ("device", "zip", zipped((_mode("a", stat.S_IFCHR | 0o600), b"")), "a link or a device"),
    ("encrypted", "zip", _encrypted(), "The member 'secret.csv' is encrypted"),
    ("method", "zip", zipped(("a", b"1" * 99), method=zipfile.ZIP_BZIP2), "packed by method 12; only stored and"),
    ("no name", "zip", zipped(("./", b""), (".", b"1")), "or one without"),
    ("many", "zip", zipped(*((str(n), b"") for n in range(21))), "more than 20 members"),
    ("large", "zip", lambda: zipped(("a", bytes(201 * MIB))), "bounds.largest_file_bytes"),
    ("bomb", "zip", lambda: zipped(("a", bytes(100 * MIB))), "more than 300 times its size"),
    ("null", "zip", _renamed(zipped(("a.exe", b"1")), b"a.exe", b"a\0exe"), "a null in its name: 'a'"),
    (
        "full folder",
        "zip",
        _renamed(zipped(("rows!", b"1")), b"rows!", b"rows/"),
        "a folder with the content of a file",
    ),
    ("directory", "zip", _huge_directory, "The directory of the archive has more than"),
    ("tar parent", "tar.gz", tarred(("../x", b"1")), OUT),
    ("tar absolute", "tar.gz", tarred(("/x", b"1")), OUT),
    ("tar symbolic link", "tar.gz", tarred((of_kind(tarfile.SYMTYPE), b"")), "a link or a device"),
    ("tar hard link", "tar.gz", tarred((of_kind(tarfile.LNKTYPE), b"")), "a link or a device"),
    ("tar device", "tar.gz", tarred((of_kind(tarfile.CHRTYPE), b"")), "a link or a device"),
    ("tar pipe", "tar.gz", tarred((of_kind(tarfile.FIFOTYPE), b"")), "a link or a device"),
    ("tar sparse", "tar.gz", _sparse(), "a link or a device"),
    ("tar twice", "tar.gz", tarred(("a", b"1"), ("./a", b"2")), "two members of one name"),
    ("tar many", "tar.gz", tarred(*((str(n), b"") for n in range(21))), "more than 20 members"),
    (
        "tar bomb",
        "tar.gz",
        lambda: gzip.compress(tarred(("a", bytes(100 * MIB)))),
        "unpacks to more than 300 times its size",
    ),
    ("tar header", "tar.gz", _long_header(), "A header of the archive has more than 16384 bytes"),
    ("two tars", "tar.gz", gzip.compress(tarred(("a", b"1")) + tarred(("b", b"2"))), "goes on after its end"),
    (
        "two gzips",
        "tar.gz",
        gzip.compress(tarred(("a", b"1"))) + gzip.compress(tarred(("b", b""))),
        "goes on after its",
    ),
    ("tar tail", "tar.gz", lambda: tarred(("a", b"1")) + bytes(20 * MIB), "goes on after its end"),
]


@pytest.mark.parametrize(("kind", "data", "why"), [one[1:] for one in REFUSED], ids=[one[0] for one in REFUSED])
@pytest.mark.slow
def test_archives_that_are_refused(kind: str, data: bytes | Callable[[], bytes], why: str) -> None:
    """As a whole, before anything of them lands, in a sentence; the next try would bring the same."""
    data = data if isinstance(data, bytes) else data()
    with pytest.raises(ArchiveRefusedError) as caught:
        open_archive(kind, io.BytesIO(data), len(data), LIMITS)
    assert why in str(caught.value)
    assert str(caught.value).endswith(".")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_in_a_zip_archive() -> None:
    """No reader agrees with the next one about which counts."""
    with pytest.raises(ArchiveRefusedError, match="two members of one name"):
        unpacked("zip", zipped(("a", b"1"), ("a", b"2")))


def _changed(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


WHOLE_ZIP = zipped(("a", b"1" * 1000), method=zipfile.ZIP_STORED)
WHOLE_TAR = tarred(("a", b"1" * 2000), ("b", b"2"))
BROKEN: list[tuple[str, str, bytes]] = [
    ("empty", "zip", b""),
    ("html", "zip", b"<html>not today</html>"),
    ("cut off", "zip", WHOLE_ZIP[:-30]),
    ("checksum", "zip", _changed(WHOLE_ZIP, 200)),
    ("tar is no zip", "zip", WHOLE_TAR),
    ("tar empty", "tar.gz", b""),
    ("tar html", "tar.gz", b"<html>not today</html>" * 100),
    ("zip is no tar", "tar.gz", WHOLE_ZIP),
    ("gzip cut off", "tar.gz", gzip.compress(WHOLE_TAR)[:-9]),
    ("gzip checksum", "tar.gz", _changed(gzip.compress(WHOLE_TAR), -8)),
    ("member cut off", "tar.gz", gzip.compress(WHOLE_TAR[:1500])),
    ("header cut off", "tar.gz", gzip.compress(WHOLE_TAR[:2700])),
    ("damaged second header", "tar.gz", gzip.compress(_changed(WHOLE_TAR, 2565))),
    ("negative size", "tar.gz", _negative()),
]


@pytest.mark.parametrize(("kind", "data"), [one[1:] for one in BROKEN], ids=[one[0] for one in BROKEN])
def test_archives_that_are_damaged(kind: str, data: bytes) -> None:
    """They are downloaded again; the library alone would take a damaged header of tar for the end."""
    with pytest.raises(ArchiveBrokenError) as caught:
        unpacked(kind, data)
    assert str(caught.value).endswith(".")


@pytest.mark.slow
def test_an_archive_is_never_in_memory_as_a_whole() -> None:
    """Neither packed nor unpacked."""
    data = zipped(("a", bytes(range(256)) * 400_000))
    packed = gzip.compress(tarred(("a", bytes(range(256)) * 400_000)), 1)
    for kind, whole in (("zip", data), ("tar.gz", packed)):
        file = io.BytesIO(whole)
        tracemalloc.start()
        archive = open_archive(kind, file, len(whole), LIMITS)
        assert sum(len(piece) for _, piece in archive.pieces()) == 102_400_000
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 24 * MIB


def test_a_secret_in_a_name_is_hidden_before_the_name_is_cut() -> None:
    """Half of a secret would be hidden by nobody."""
    limits = ArchiveLimits(100, 10**6, lambda text: text.replace("canary-secret", "[redacted]"))
    for place in range(84, 104):
        data = zipped(("x" * place + "canary-secret/../../y", b"1"))
        with pytest.raises(ArchiveRefusedError) as refused:
            open_archive("zip", io.BytesIO(data), len(data), limits)
        assert "xc" not in str(refused.value)
        assert "cret" not in str(refused.value)
