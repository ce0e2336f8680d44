"""Regular expressions on foreign text: Python's syntax, RE2's linear time, and helpful messages."""

import time

import pytest

from tests.support.spec_samples import changed, faults_of
from tidewaiter.patterns import PatternError, compile_pattern


@pytest.mark.parametrize(
    ("source", "text", "part"),
    [
        (r"/jobs/([^/?#]+)", "https://x/jobs/42?a=1", "42"),
        (r"(?i)ready", "is READY", "READY"),
        (r"(?P<id>\d+)-(?P<more>\w+)", "x 12-ab", "12"),
        (r"\u00e9(.)", "caf\u00e9!", "!"),
        (r"[\u201c\"](\w+)", "\u201cword", "word"),
        (r"a{,2}b", "aaab", "aab"),
        (r"[{,2}]+", "x{,2}", "{,2}"),
        (r"^end\Z", "end", "end"),
        (r"(a)|b", "b", None),
        (r"\p{L}+", "  Zoë", "Zoë"),
        (r"x.z", "x\ud800z", "x?z"),
    ],
)
def test_authors_write_what_they_know(source: str, text: str, part: str | None) -> None:
    """Groups, flags, names, and what Python spells in its own way."""
    assert compile_pattern(source).first_group(text) == part


@pytest.mark.parametrize(
    ("source", "hint"),
    [
        (r"(?!x)a", "looks ahead or behind"),
        (r"a(?=b)", "excludes"),
        (r"(?<!a)b", "looks ahead or behind"),
        (r"(?<=a)b", "looks ahead or behind"),
        (r"(a)\1", "refers back to a group"),
        (r"(?P<n>a)(?P=n)", "Write the alternatives out"),
        (r"a++", "possessive"),
        (r"(?>a)", "atomic"),
        (r"(?x) a", "Use only i, m, s and U"),
        (r"(a{1000}){1000}", "repetitions are too large"),
        (r"(.{0,1000}){3}", "repetitions are too large"),
        (r"[a", "unterminated character set at position 0"),
        (r"\C", r"there is no \C"),
        ("a" * 5000, "more than 4096 characters"),
    ],
)
def test_what_cannot_be_used_says_how_to_write_it(source: str, hint: str) -> None:
    """Look-around, backreferences and expressions without end are refused, with a way to do without."""
    with pytest.raises(PatternError, match="not a regular expression") as caught:
        compile_pattern(source)
    assert hint in str(caught.value)


@pytest.mark.parametrize("key", ["text = '(?!no)ok'", "header = { name = 'X', regex = '(a)\\1' }"])
def test_lint_names_the_key(key: str) -> None:
    """A spec with such an expression is refused with its file and key."""
    rule = f"[[operations.report.poll.rules]]\n{key}\nthen = 'retry'\n\n[[operations.report.poll.rules]]"
    (fault,) = faults_of(changed("[[operations.report.poll.rules]]", rule))
    assert fault.startswith("demo.toml: operations.report.poll")
    assert "not a regular expression that can be used" in fault


@pytest.mark.parametrize(
    ("source", "piece"),
    [
        (r"(a+)+$", "a"),
        (r"(a|aa)*b", "a"),
        (r"^(\s*\w+\s*)*;", "a "),
        (r"(https?:[^?]+)\?", "https:"),
        (r"(.*),(.*),(.*);", ","),
    ],
)
def test_time_grows_with_the_text(source: str, piece: str) -> None:
    """What takes Python's engine minutes takes time in proportion: eight times the text, about eight times as long."""
    pattern = compile_pattern(source)

    def took(length: int) -> float:
        text = (piece * length)[:length] + "!"
        begun = time.process_time()
        pattern.first_group(text)
        return time.process_time() - begun

    took(1000)
    assert took(1_048_576) < 20 * took(131_072) + 0.2
