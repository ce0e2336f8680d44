"""Names of landed files: what a provider proposes is kept as far as it is safe."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.domain.file_names import file_name, free_places, name_key
from tidewaiter.domain.manifest import Artifact


@pytest.mark.fault(45)
@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("Patient", "Patient.ndjson"),
        ("report.CSV", "report.csv"),
        ("my report (1).csv", "my-report-1.csv"),
        ("../../etc/passwd", "passwd.ndjson"),
        ("..\\..\\windows\\system32", "system32.ndjson"),
        ("", "export.ndjson"),
        ("...", "export.ndjson"),
        ("!!!.csv", "export.csv"),
        ("c:sales:2026.csv", "c-sales-2026.csv"),
        (".bashrc", "bashrc.ndjson"),
        ("manifest.json", "file-manifest.json"),
        ("MANIFEST.JSON", "file-MANIFEST.json"),
        ("manife\u017ft.json", "file-manife\u017ft.json"),  # its long s is an s where case is ignored
    ],
)
def test_labels_become_names(label: str, expected: str) -> None:
    """What a provider calls a file is a label only."""
    assert file_name(label, 0, 1, "application/fhir+ndjson", "export") == expected


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("报告.csv", "报告.csv"),
        ("отчёт за май.csv", "отчёт-за-май.csv"),
        ("तालिका.csv", "तालिका.csv"),
        ("تقرير.csv", "تقرير.csv"),
        ("U\u0308bersicht.csv", "\u00dcbersicht.csv"),  # composed
        ("📊.csv", "📊.csv"),
        ("❤\ufe0f.csv", "❤.csv"),  # without the invisible choice of its form
        ("\x00\u202e日本", "日本.ndjson"),  # without the turn of direction
        ("a\u200db\u2066c\ufeff.csv", "abc.csv"),
        ("\u3164\u115f.csv", "export.csv"),  # letters that nobody sees
        ("\u0301\u0301x.csv", "x.csv"),  # would be accents of the character before the name
        ("a\uff0fb\u2215c\uff1ad.csv", "a-b-c-d.csv"),  # they look like separators
        ("報告\uff0ecsv", "報告-csv.ndjson"),
        ("\udcff.csv", "export.csv"),
        ("報告。", "報告.ndjson"),
    ],
)
def test_letters_of_every_script_stay(label: str, expected: str) -> None:
    """A file that people know by its name keeps it; what the eye or a file system can misread goes."""
    assert file_name(label, 0, 1, "application/fhir+ndjson", "export") == expected


@pytest.mark.parametrize(
    ("media_type", "name"),
    [
        ("application/json; charset=utf-8", "report.json"),
        ("Application/Geo+JSON", "report.json"),
        ("application/vnd.sdmx.data+xml", "report.xml"),
        ("text/json", "report.json"),
        ("application/octet-stream", "report"),
        ("json", "report"),
        ("x+other", "report"),
        (None, "report"),
    ],
)
def test_the_media_type_gives_the_extension(media_type: str | None, name: str) -> None:
    """Also by its suffix after the plus."""
    assert file_name("report", 0, 1, media_type, "export") == name


@pytest.mark.parametrize("label", ["con", "NUL.csv", "lpt1.tar.gz", "com\u00b9.csv", "aux.h.txt"])
def test_names_of_devices(label: str) -> None:
    """Windows opens a device instead of a file of that name, in any folder."""
    assert file_name(label, 0, 1, None, "export").startswith("file-")
    assert file_name(label, 0, 2, None, "export").startswith("001-")


@given(
    label=st.text(max_size=5000) | st.text(st.sampled_from("a.- _/\\報ё\u0301\u0345\u202e📊\ufe0f\x00"), max_size=300),
    number=st.integers(0, 99_999),
    total=st.integers(1, 100_000),
)
def test_names_are_always_safe(label: str, number: int, total: int) -> None:
    """No label whatever makes a name that is empty, long, hidden, invisible, in two forms, or a path."""
    name = file_name(label, number, total, None, "export")
    assert name.isprintable()
    assert 0 < len(name.encode()) <= 128
    assert name == unicodedata.normalize("NFC", name)
    assert not set(name) & set('<>:"/\\|?* ')
    assert name[0] not in ".-_"
    assert unicodedata.category(name[0])[0] != "M"
    assert name[-1] not in ".-_"
    assert name.casefold() != "manifest.json"
    assert not {unicodedata.bidirectional(one) for one in name} & {
        "LRE",
        "RLE",
        "LRO",
        "RLO",
        "PDF",
        "LRI",
        "RLI",
        "PDI",
    }


def test_a_long_name_ends_between_characters() -> None:
    """The limit is in bytes, as that of file systems is; the extension stays."""
    name = file_name("報" * 3000 + ".csv", 0, 1, None, "export")
    assert name == "報" * 36 + ".csv"
    assert file_name("x" * 3000 + ".csv", 0, 1, None, "export") == "x" * 110 + ".csv"


def test_several_files_never_share_a_name() -> None:
    """Equal labels of one job are kept apart by their numbers."""
    assert len({file_name("same", number, 3, None, "export") for number in range(3)}) == 3


@pytest.mark.parametrize(
    ("one", "other"), [("A.csv", "a.csv"), ("Straße", "STRASSE"), ("U\u0308.csv", "ü.csv"), ("ОТЧЁТ", "отчёт")]
)
def test_what_some_file_system_takes_for_one_name(one: str, other: str) -> None:
    """They have the same key, and a new file does not get the place of an old one."""
    assert name_key(one) == name_key(other)
    assert name_key(one) != name_key("other")
    landed = Artifact(5, one, "", one, 1, "", "", 0.0)
    ((place, number, key),) = free_places({1: landed}, 2, lambda _, number: other if number == 0 else f"{number}.csv")
    assert (place, number, key) == (0, 2, "2.csv")


def test_plain_labels_give_the_names_of_earlier_versions() -> None:
    """So a download that was interrupted by the upgrade lands where it would have landed."""
    for label in ("statistics-2025_05.json", "a b#c%2Fd+e.csv", "x--y..z.txt"):
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", label)
        assert file_name(label, 0, 1, None, "export") == stem
