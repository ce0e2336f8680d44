"""How tables are printed."""

import pytest

from tidewaiter.cli import output


def test_brackets_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    """What stands in brackets is shown as it is: a table's cells are no markup."""
    made = output.table("why")
    made.add_row("put [accounts.shop] back")
    output.show_table(made)
    assert capsys.readouterr().out == "why\nput [accounts.shop] back\n"
