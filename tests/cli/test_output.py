"""How durations, sizes, progress and foreign words are shown."""

import pytest

from app.cli import output
from app.domain.progress import fraction_of


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-1, "0.0 s"),
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (5400, "1 h 30 min"),
        (90_000, "1 d 1 h"),
    ],
)
def test_durations(seconds: float, shown: str) -> None:
    """Two units at most: nobody wants the seconds of a day."""
    assert output.duration(seconds) == shown


@pytest.mark.parametrize(("count", "shown"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (2 * 10**12, "2.0 TB")])
def test_sizes(count: int, shown: str) -> None:
    """Bytes in the unit that people use."""
    assert output.size(count) == shown


@pytest.mark.parametrize(
    ("progress", "fraction"),
    [(None, None), ("250/500", 0.5), ("7 of 10", 0.7), ("62.5 %", 0.625), ("9/0", None), ("soon", None), ("120%", 1.0)],
)
def test_progress(progress: str | None, fraction: float | None) -> None:
    """Ratios and percentages become a bar; other words do not."""
    assert fraction_of(progress) == fraction


def test_foreign_words() -> None:
    """Control characters and what turns the order of letters around are replaced; letters of all scripts stay."""
    assert output.printable("naïve\x1b[31m\n\x9bx") == "naïve�[31m��x"
    assert output.printable("a\u202etxt.exe\u2028b نص") == "a�txt.exe�b نص"


def test_brackets_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in brackets is shown as it is: a table's cells are no markup."""
    made = output.table("why")
    made.add_row("put [accounts.shop] back")
    output.show_table(made)
    assert capsys.readouterr().out == "why\nput [accounts.shop] back\n"


def test_so_many() -> None:
    """One of a thing has no plural."""
    assert [output.counted(number, "poll") for number in (0, 1, 2)] == ["0 polls", "1 poll", "2 polls"]
