"""The colours, computed: every text can be read on what it stands on, in both schemes (WCAG 2.2, 1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

from tidewaiter.domain.job import State

CSS = (Path(__file__).parents[3] / "app/tidewaiter/web/ui/static/page.css").read_text("utf-8")
COLOURS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([a-z-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS)
}
GROUNDS = ("paper", "sheet", "sunk")
TEXTS = ("ink", "dim", "accent", "good", "bad", "warn", *(state.value for state in State))

ON_COLOURS = [
    ("on-accent", "accent"),
    ("ink", "bad-wash"),
    ("ink", "warn-wash"),
    ("ink", "good-wash"),
    ("dim", "bad-wash"),
    ("bad", "bad-wash"),
]


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _contrast(one: str, other: str) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read(text: str, ground: str, scheme: int) -> None:
    """Every text and every state has a contrast of 4.5 at least on every ground."""
    assert _contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= 4.5


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), ON_COLOURS)
def test_text_on_a_colour_can_be_read(text: str, ground: str, scheme: int) -> None:
    """So have buttons and banners."""
    assert _contrast(COLOURS[text][scheme], COLOURS[ground][scheme]) >= 4.5


def test_every_state_has_a_colour_and_a_shape() -> None:
    """No state is told by its colour alone."""
    icons = (Path(__file__).parents[3] / "app/tidewaiter/web/ui/templates/icons.html").read_text("utf-8")
    for state in State:
        assert f".s-{state.value} " in CSS
        assert f".f-{state.value} " in CSS
        assert f'id="i-{state.value}"' in icons
