"""The filters of the templates."""

import pytest

from tidewaiter.web.ui.page_renderer import FILTERS


@pytest.mark.parametrize(
    ("name", "values", "shown"),
    [
        ("duration", (200.0,), "3\u00a0min 20\u00a0s"),
        ("rough", (200.0,), "3\u00a0min"),
        ("ago", (100.0, 160.0), "1\u00a0min ago"),
        ("size", (1500,), "1.5\u00a0kB"),
        ("counted", (1200, "job"), "1,200\u00a0jobs"),
        ("moment", (0.0,), "1970-01-01 00:00:00 UTC"),
        ("clock_or_date", (60.0, 3600.0), "00:01:00"),
        ("clock_or_date", (60.0, 86_460.0), "1970-01-01 00:01"),
    ],
)
def test_a_number_is_not_parted_from_its_unit(name: str, values: tuple[object, ...], shown: str) -> None:
    """A no-break space stands between them; elsewhere a line may break."""
    assert FILTERS[name](*values) == shown
