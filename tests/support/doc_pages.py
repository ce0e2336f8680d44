"""The pages that people read, and what is in them: blocks of code, commands, links."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w-]*)[^\n]*\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_INLINE = re.compile(r"`(tidewaiter [^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_OPERATORS = frozenset({"|", "||", "&", "&&", ";", ">", ">>", "<", "(", ")"})


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page; ``line`` is where it begins."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    """The blocks of a page in that language."""
    text = page.read_text()
    found = _FENCE.finditer(text)
    return [
        Block(page, text.count("\n", 0, one.start()) + 1, language, one["text"])
        for one in found
        if one["language"] == language
    ]


def commands_of(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Every call of ``tidewaiter`` in a page, as a place and the words after the name."""
    for block in blocks(page, "sh"):
        for words in calls_in(block.text):
            yield block.place, words
    for one in _INLINE.finditer(_FENCE.sub("", page.read_text())):
        place = f"{page.relative_to(ROOT)}: `{one[1]}`"
        first, *others = re.split(r"(?<=\w)\|(?=\w)", one[1])  # `schedules list|next|run` is three commands
        for command in (first, *(f"{first.rpartition(' ')[0]} {other}" for other in others)):
            for words in calls_in(command.replace("\n", " ")):
                yield place, words


def calls_in(script: str) -> Iterator[list[str]]:
    """The words after ``tidewaiter`` in each of its calls in a piece of shell."""
    for line in script.replace("\\\n", " ").splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        simple: list[str] = []
        for word in [*lexer, ";"]:
            if word not in _OPERATORS:
                simple.append(word)
                continue
            yield from _call(simple)
            simple = []


def _call(words: list[str]) -> Iterator[list[str]]:
    """The call in one simple command, at its beginning or behind what runs it, such as ``docker exec tidewaiter``."""
    for place, word in enumerate(words):
        if word != "tidewaiter" and not word.endswith("/bin/tidewaiter"):
            continue
        if place == 0 or words[place - 1] in {"--", "tidewaiter"} or "=" in words[place - 1]:
            yield words[place + 1 :]
            return


def links_of(page: Path) -> list[str]:
    """Where the links and pictures of a page lead."""
    return _LINK.findall(_FENCE.sub("", page.read_text()))


def anchors_of(page: Path) -> set[str]:
    """The names under which a page's headings are linked to, as the forges make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
