"""Hostile specs fail at once, with a message that names the file and the fault."""

import os
from pathlib import Path

import pytest

from tests.support.spec_samples import WHOLE, changed, faults_of
from tidewaiter.providers.checks.spec_lint import MOST_FAULTS, lint
from tidewaiter.toml_file import LARGEST_FILE, TomlError, parse, read_regular

ROOM = LARGEST_FILE - 100


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("a = " + "[" * 100_000, "line 1: is not read: arrays and tables are nested more", id="arrays"),
        pytest.param("a = " + "{b=" * 100_000, "line 1: is not read: arrays and tables are nested more", id="tables"),
        pytest.param(".".join(["a"] * 50_000) + " = 1", "line 1: is not read: a key has more than 32 parts", id="key"),
        pytest.param("a = 1\n[" + "a." * 50_000 + "b]", "line 2: is not read: a key has more than 32 parts", id="head"),
        pytest.param(
            "a = { " + '"b".' * 50_000 + "c = 1 }", "line 1: is not read: a key has more than 32 parts", id="quoted"
        ),
        pytest.param("a = " + "9" * 10_000, "line 1: is not read: a number has more than 400 digits", id="digits"),
        pytest.param("a = 0x" + "f" * 10_000, "line 1: is not read: a number has more than 400 digits", id="hex"),
        pytest.param("#" * (LARGEST_FILE + 1), "is larger than 1024 KiB", id="size"),
        pytest.param('a = """' + '"\\"' * (ROOM // 3), "is not TOML: ", id="text without end"),
        pytest.param("'" * ROOM, "line 1, column 3: is not TOML: ", id="quotes"),
        pytest.param('"\\' * (ROOM // 2), "is not TOML: ", id="escapes"),
    ],
)  # fmt: skip
def test_what_takes_a_parser_long_is_refused_by_line(text: str, fault: str) -> None:
    """Within the time of a test, though the parser itself would recurse, or take minutes."""
    (found,) = faults_of(text)
    assert found.startswith(f"demo.toml: {fault}")


def test_what_stands_in_texts_and_comments_nests_nothing() -> None:
    """Brackets, dots and digits count only where TOML gives them a meaning."""
    strange = "[" * 100 + "1." * 100 + "9" * 1000
    texts = [f'"{strange}"', f"'{strange}'", f'"""\n{strange}\n"quoted" \\"\n"""', f"'''\n{strange} '' \n'''", '""']
    for text in texts:
        assert parse(f"a = {text} # {strange}\nb = [[1.5], [2]]\n")["b"] == [[1.5], [2]]


@pytest.mark.parametrize("expression", ["(" * 900 + "a" + ")" * 900, "!" * 1500 + "a", "[" * 1500, "a" + ".b" * 999])
def test_an_expression_that_nests_without_end_is_refused(expression: str) -> None:
    """JMESPath's parser recurses for each of them."""
    (found,) = faults_of(changed('handle = "id"', f'handle = "{expression}"'))
    assert "at most 2000 characters and 200 brackets and operators" in found


def test_control_characters_are_shown_as_escapes(tmp_path: Path) -> None:
    """A key, a name or a file cannot clear a terminal, and cannot look like a line of ours."""
    file = tmp_path / "a\x1b[2J.toml"
    file.write_text(WHOLE + '\n["\\u001b[31m\\nERROR: no such thing"]\nx = 1\n')
    (fault,) = lint(file)
    assert str(fault).isprintable()
    assert "a\\x1b[2J.toml: \\x1b[31m\\nERROR: no such thing: unknown key" in str(fault)


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "HOST", "Connection", "Proxy-Authorization"])
def test_headers_of_the_connection_are_not_the_specs(name: str) -> None:
    """They say where a message ends: a wrong one makes one request look like two."""
    (found,) = faults_of(
        changed("[operations.report.submit]", f'[operations.report.submit]\nheaders = {{ {name} = "1" }}')
    )
    assert f"{name} belongs to the connection" in found
    (found,) = faults_of(WHOLE + f'[auth]\ntype = "header"\nname = "{name}"\nvalue = "x"\n')
    assert f"{name} belongs to the connection" in found


@pytest.mark.slow
def test_faults_without_number_are_not_all_listed() -> None:
    """The first hundred, and how many there are more; and thousands of parameters take no quadratic time."""
    found = faults_of("".join(f"a{number}.b = 1\n" for number in range(50_000)))
    assert len(found) == MOST_FAULTS + 1
    assert found[-1].endswith("more faults, which are not listed")
    params = "".join(f'p{number} = {{ type = "string" }}\n' for number in range(15_000))
    assert len(faults_of(f"{WHOLE}[operations.report.params]\n{params}")) == MOST_FAULTS + 1


def test_what_is_no_regular_file_is_not_opened_for_ever(tmp_path: Path) -> None:
    """A pipe that nobody writes to, a device without end, a folder; a link to a file is a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("file")
    for path in (pipe, Path("/dev/zero")):
        assert str(lint(path)[0]).endswith("is not a regular file; a pipe, a device or a socket is not read")
    assert str(lint(tmp_path)[0]).endswith("cannot be read: Is a directory")
    assert read_regular(tmp_path / "link", 4) == b"kept"
    with pytest.raises(ValueError, match="is larger than"):
        read_regular(tmp_path / "link", 3)


def test_a_text_that_is_no_toml_says_where() -> None:
    """The line and the column, where the parser knows them."""
    with pytest.raises(TomlError) as caught:
        parse("a = 1\nb = \n")
    reason = "is not TOML: Invalid value; text must be in quotes"
    assert (caught.value.place, caught.value.reason) == ("line 2, column 5", reason)
