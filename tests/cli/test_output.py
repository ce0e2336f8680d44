"""How tables are printed."""

import pytest

from tidewaiter.cli import output


def test_brackets_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in brackets is shown as it is: a table's cells are no markup."""
    made = output.table("why")
    made.add_row("put [accounts.shop] back")
    output.show_table(made)
    assert capsys.readouterr().out == "why\nput [accounts.shop] back\n"


def test_names_are_whole_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns and at 40 every name and number that is typed is there as one word, and no text is cut."""
    for columns in ("80", "40"):
        monkeypatch.setenv("COLUMNS", columns)
        monkeypatch.setenv("NO_COLOR", "1")
        monkeypatch.setattr("sys.stdout.isatty", lambda: True)
        made = output.table("job", "account", "operation", "state", "remote", "why", right=("job",))
        made.add_row(
            "1234567", "emulated-newsletter-of-the-north", "statistics-by-campaign", "cancelling", "in progress",
            "word " * 20 + "x" * 90,
        )  # fmt: skip
        output.show_table(made)
        shown = capsys.readouterr().out
        assert "1234567" in shown
        assert "emulated-newsletter-of-the-north" in shown
        assert "statistics-by-campaign" in shown
        assert "cancelling" in shown
        assert "progress" in shown
        assert "…" not in shown
        assert shown.count("x") == 90
