"""Which links lead to the same file, and which do not."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.domain.file_identity import identities, pair_files, part_number
from tidewaiter.domain.http_values import Link

AT = "https://files.example.com/a/b.csv"


def same(one: str, other: str) -> bool:
    """Whether two URLs mean one file."""
    return identities([Link(one)]) == identities([Link(other)])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("X-Amz-Signature=a&X-Amz-Date=1&X-Amz-Expires=9&X-Amz-Credential=c", "X-Amz-Date=2&x-amz-signature=b"),
        ("AWSAccessKeyId=k&Signature=a%2B&Expires=1", "Expires=2&Signature=b&AWSAccessKeyId=k"),
        ("X-Goog-Signature=a&X-Goog-Date=1", "X-Goog-Signature=b&X-Goog-Date=2"),
        ("GoogleAccessId=g&Signature=a&Expires=1", "GoogleAccessId=g&Signature=b&Expires=2"),
        ("sv=1&st=a&se=b&sr=b&sp=r&spr=https&sig=x", "sv=1&st=c&se=d&sr=b&sp=r&spr=https&sig=y"),
        ("Key-Pair-Id=K&Policy=p&Signature=a", "Key-Pair-Id=K&Expires=4&Signature=b"),
        ("OSSAccessKeyId=k&Signature=a&Expires=1", "OSSAccessKeyId=k&Signature=b&Expires=2"),
        ("q-sign-algorithm=sha1&q-signature=a&q-key-time=1", "q-sign-algorithm=sha1&q-signature=b&q-key-time=2"),
        ("temp_url_sig=a&temp_url_expires=1", "temp_url_sig=b&temp_url_expires=2"),
        ("token=a", "token=b"),
        ("sig=a&expires=1", "expires=2&sig=b"),
        ("page=1&token=a&x=2", "x=2&page=1&token=b"),
        ("", "X-Amz-Signature=a"),
    ],
)
def test_another_signature_is_no_other_file(one: str, other: str) -> None:
    """What signs a URL, and the order of its query, tell nothing of the file; nor does a fragment."""
    assert same(f"{AT}?{one}", f"{AT}?{other}")
    assert same(f"{AT}?part=1&{one}#top", f"{AT}?{other}&part=1")
    assert not same(f"{AT}?part=1&{one}", f"{AT}?part=2&{other}")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("st=1&se=2", "st=1&se=3"),
        ("expires=1", "expires=2"),
        ("policy=1", "policy=2"),
        ("X-Amz-Date=1", "X-Amz-Date=2"),
        ("id=1&token=a", "id=2&token=a"),
        ("versionId=1&X-Amz-Signature=a", "versionId=2&X-Amz-Signature=a"),
        ("snapshot=1&sv=1&se=1&sp=r&sig=a", "snapshot=2&sv=1&se=1&sp=r&sig=a"),
        ("a=1&a=2", "a=2&a=1"),
    ],
)
def test_a_key_signs_only_where_there_is_a_signature(one: str, other: str) -> None:
    """Elsewhere the same name may tell the file."""
    assert not same(f"{AT}?{one}", f"{AT}?{other}")


def test_another_address_is_another_file() -> None:
    """Scheme, host and path count; the host in any case."""
    assert same("https://FILES.example.com/a", "https://files.example.com/a")
    assert (
        len({*identities([Link("https://f.example/a"), Link("http://f.example/a"), Link("https://f.example/A")])}) == 3
    )


@pytest.mark.parametrize(
    "changed",
    [
        {"label": "x"},
        {"size": 0},
        {"count": 1},
        {"sha256": "0" * 64},
        {"md5": "0" * 32},
        {"media_type": "a/b"},
        {"gzip": True},
    ],
)
def test_all_that_is_announced_counts(changed: dict[str, object]) -> None:
    """What is announced differently is another file; whether credentials go along says nothing of it."""
    link = Link(AT, "label")
    assert identities([link]) != identities([replace(link, **changed)])  # type: ignore[arg-type]
    assert identities([link]) == identities([replace(link, send_auth=False)])


def test_a_token_that_tells_files_apart_is_no_signature() -> None:
    """Where two links of a list differ in it alone, it stays: neither of them is ever taken for the other."""
    first, second = identities([Link(f"{AT}?token=a"), Link(f"{AT}?token=b")])
    assert first != second
    assert identities([Link(f"{AT}?token=b"), Link(f"{AT}?token=a")]) == (second, first)
    assert second not in identities([Link(f"{AT}?token=c"), Link(f"{AT}?token=d")])


def test_without_a_url_label_and_digest_count() -> None:
    """So it is with pages that are joined, whose size nobody knows before."""
    assert identities([Link("", "a", count=1)]) == identities([Link("", "a", count=2, media_type="x/y")])
    assert identities([Link("", "a", sha256="0")]) != identities([Link("", "a", sha256="1")])


def test_another_remote_job_makes_other_files() -> None:
    """What was submitted anew is another export, even below the same URL."""
    assert identities([Link(AT)], 1) != identities([Link(AT)], 2)


def test_only_a_hash_is_kept() -> None:
    """A URL may hold a secret."""
    (identity,) = identities([Link(f"{AT}?key=canary", "canary")])
    assert len(identity) == 64
    assert int(identity, 16) >= 0
    assert 0 <= part_number(identity) < 2**60


@pytest.mark.fault(69)
@pytest.mark.parametrize(
    ("wanted", "recorded", "found"),
    [
        ("ab", ["b", "a"], {0: 1, 1: 0}),
        ("aab", ["a"], {0: 0}),
        ("aa", ["a", "a", "a"], {0: 0, 1: 1}),
        ("ab", [None, "c"], {}),
        ("", ["a"], {}),
    ],
)
def test_files_are_paired_by_what_they_are(wanted: str, recorded: list[str | None], found: dict[int, int]) -> None:
    """One to one; what an older version recorded is no file that is wanted."""
    assert pair_files(list(wanted), recorded) == found


@pytest.mark.fault(69)
@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from(["a", "b", "c", None])))
def test_no_file_is_used_twice(wanted: list[str], recorded: list[str | None]) -> None:
    """Every wanted file has its own, and as many are kept as can be."""
    found = pair_files(wanted, recorded)
    assert len({*found.values()}) == len(found)
    assert all(wanted[place] == recorded[at] for place, at in found.items())
    for name in "abc":
        kept = sum(wanted[place] == name for place in found)
        assert kept == min(wanted.count(name), recorded.count(name))


@given(st.text(max_size=40), st.text(max_size=20))
def test_any_url_has_an_identity(query: str, host: str) -> None:
    """However odd it is; and every time the same one."""
    link = Link(f"https://{host}/x?{query}")
    assert identities([link]) == identities([link])
