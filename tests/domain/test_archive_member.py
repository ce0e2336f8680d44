"""Members of archives: how they are recorded, found again, and shown in the manifest."""

from dataclasses import replace

from tidewaiter.domain.file_identity import identities, landed_archives
from tidewaiter.domain.http_values import Link
from tidewaiter.domain.manifest import ArchiveMember, Artifact, described

LINK = "a" * 64
OTHER = "b" * 64
MEMBER = ArchiveMember(LINK, 0, 2, 500, "c" * 64, "all/of it.zip")


def recorded(member: ArchiveMember, number: int = 0) -> Artifact:
    """The artifact of a member."""
    return Artifact(number, "x", "2024/x.csv", "k/x", 1, "ab", "text/csv", 1.0, identity=member.identity)


def test_a_member_is_read_from_its_identity() -> None:
    """The name of an archive may hold any characters."""
    assert ArchiveMember.read(MEMBER.identity) == MEMBER
    assert ArchiveMember.read(LINK) is None
    assert ArchiveMember.read(None) is None


def test_an_archive_counts_if_all_its_members_are_recorded() -> None:
    """In their order, whatever the order of the rows; members of another archive under the same link do not fill in."""
    first, second = recorded(MEMBER, 4), recorded(replace(MEMBER, place=1), 2)
    assert landed_archives([OTHER, LINK], [second, first]) == {1: (first, second)}
    assert landed_archives([OTHER, LINK, LINK], [second, first]) == {1: (first, second)}
    assert landed_archives([OTHER], [second, first]) == {}
    assert landed_archives([LINK], [second]) == {}
    assert landed_archives([LINK], [first, recorded(replace(MEMBER, place=1, sha256="d" * 64))]) == {}
    assert landed_archives([LINK], [replace(first, identity=LINK)]) == {}


def test_the_manifest_names_archive_and_member() -> None:
    """A file that was in no archive is shown as before."""
    shown = described(recorded(MEMBER))
    assert shown["archive"] == {"name": "all/of it.zip", "size": 500, "sha256": "c" * 64}
    assert shown["member"] == "2024/x.csv"
    assert "identity" not in shown
    assert not {"archive", "member"} & described(replace(recorded(MEMBER), identity=LINK)).keys()


def test_links_that_were_stored_before_have_the_same_identity() -> None:
    """Only an archive adds to what identifies a file; a link is stored and read with its kind."""
    plain = Link("https://x/a.zip", "a.zip")
    assert identities([plain]) == ("1df658e3261e4facf5112481516834cbd74db27d61c9468281f501e851ba2ede",)
    archive = replace(plain, archive="zip")
    assert identities([archive]) != identities([plain])
    assert Link.from_json(archive.to_json()) == archive
    assert "archive" not in plain.to_json()
