"""Traps of specs: what is permitted, but cannot mean what it seems to. Lint says what to write instead."""

import re
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

import pytest

from tests.providers.providers_page import DOCS, RECIPES
from tests.support.spec_samples import HEAD, POLL, POLL_URL, RESULTS, SUBMIT, WHOLE, changed, faults_of
from tidewaiter.providers.checks.spec_lint import lint
from tidewaiter.providers.examples.hints import never_true
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.values.jmespath_expressions import negation_fault

LIST = HEAD + '[operations.report]\ntitle = "Report"\n[operations.report.results.pages]\nurl = "/list"\nitems = "a"\n'
LISTED = HEAD + SUBMIT + POLL + '[operations.report.results.files]\neach = "downloads"\n'
EXAMPLE = """
[[examples]]
name = "it is ready"
operation = "report"
step = "poll"
handle = "7"
reply = {{ status = 200, json = {body} }}
outcome = {{ is = "Ready" }}
"""
OLD_RULE = """
[[operations.report.poll.rules]]
word = "status"
words = { pending = "pending", done = "ready" }
"""


def rules(*given: str) -> str:
    """The small spec, whose poll has these rules, and one that says when the job is ready."""
    last = '{ status = 599, then = "ready" }'
    return changed(OLD_RULE, f"rules = [{', '.join((*given, last))}]\n")


def traps_of(tmp_path: Path, text: str) -> list[str]:
    """The traps of a spec that has no fault, each with its key."""
    assert faults_of(text) == []
    (tmp_path / "spec.toml").write_text(text)
    return [f"{fault.key}: {fault.reason}" for fault in lint(tmp_path / "spec.toml")]


@pytest.mark.parametrize("source", ["!a.b", "x && !a.b", "items[?!done.at]", "!a.*", "!a[?b]", "!(a).b"])
def test_a_negation_of_less_than_it_seems(tmp_path: Path, source: str) -> None:
    """``!`` binds closer than the dot."""
    (trap,) = traps_of(tmp_path, rules(f'{{ json = "{source}", then = "ready" }}'))
    assert trap == (
        "operations.report.poll.rules[0].json: is always null: ! binds closer than the dot, so that !a.b is (!a).b; "
        "write !(a.b)"
    )


def test_a_negation_that_is_compared(tmp_path: Path) -> None:
    """``!`` binds closer than a comparison, too; to compare with true or false is possible."""
    (trap,) = traps_of(tmp_path, rules('{ json = "!a == \'x\'", then = "ready" }'))
    assert trap.endswith("write !(a == b), or a != b")
    for sound in ("!(a.b)", "!a", "!a && b", "!a == `true`", "!contains(a, 'b')", "!a[0]", "a[?!b]"):
        assert traps_of(tmp_path, rules(f'{{ json = "{sound}", then = "ready" }}')) == []


def test_expressions_are_found_wherever_they_stand(tmp_path: Path) -> None:
    """In a list of picks, in the short form, as a key, and in an operation that is like another one."""
    text = changed('handle = "id"', 'handle = ["!a.b", { json = "!a.c", regex = "x" }]')
    text += (
        "[operations.report.adopt]\nurl = '/list'\nitems = \"!a.d\"\nmatch = { '!a.e' = 'x' }\nhandle = 'id'\n"
        '[operations.other]\ntitle = "Other"\nlike = "report"\n'
    )
    keys = [one.partition(": ")[0] for one in traps_of(tmp_path, text)]
    both = [f"operations.{name}." for name in ("other", "report")]
    inner = ("adopt.items", "adopt.match.!a.e", "submit.handle[0]", "submit.handle[1].json")
    assert keys == [f"{name}{one}" for name in both for one in inner]


def test_a_template_in_an_expression(tmp_path: Path) -> None:
    """JMESPath sees the reply only."""
    (trap,) = traps_of(tmp_path, rules('{ json = "id == \'${handle}\'", then = "ready" }'))
    assert trap.startswith("operations.report.poll.rules[0].json: holds ${...}, which JMESPath takes as plain text")


@pytest.mark.parametrize(
    ("more", "trap"),
    [
        ('next = "cursor"\n', "pages.next: is sent nowhere, so the second page would be the first one again; write"),
        ('query = { c = "${page.next}" }\n', "pages: sends ${page.next}, but there is no next that says where"),
        ("size = 50\n", "pages.size: says that there are more pages, but the request asks only for the first one"),
        ('last = "done"\n', "pages.last: says that there are more pages, but"),
        ('query = { p = "${page.size}" }\nsize = 5\n', "pages.size: says that there are more pages, but"),
        ('next = "cursor"\nquery = { c = "${page.next}" }\n', ""),
        ('next = "more"\nquery = { p = "${page.number}" }\n', ""),
        ('next_url = "more"\nsize = 50\n', ""),
        ('size = 50\nquery = { o = "${page.offset}" }\n', ""),
        ('last = "`true`"\n', ""),
        ("", ""),
    ],
)
def test_the_same_page_again(tmp_path: Path, more: str, trap: str) -> None:
    """A list asks for its second page by what the first one says, or by a count; or it says that it has one page."""
    found = traps_of(tmp_path, LIST + more)
    assert [one.startswith(f"operations.report.results.{trap}") for one in found] == ([True] if trap else [])


@pytest.mark.parametrize(
    ("body", "trap"),
    [
        ('"a text"', "is sent as one JSON value, 'a text'; write a table, such as json = { name = \"value\" }"),
        ("5", "is sent as one JSON value, 5; write a table"),
        ("false", "is sent as one JSON value, False; write a table"),
        ('"{${params.text}}"', "is sent as one JSON value"),
        ('"${params.text}"', "is ${params.text}, of type string; a JSON body is a table or an array"),
        ('"${params.tree}"', ""),
        ("[1]", ""),
        ("{}", ""),
    ],
)
def test_a_body_that_is_no_table(tmp_path: Path, body: str, trap: str) -> None:
    """A parameter that is an object may be the whole body."""
    text = changed("/reports", f'/reports"\njson = {body}\n#') + (
        '[operations.report.params]\ntext = { help = "a text" }\n'
        'tree = { type = "object", help = "a tree", required = false }\n'
    )
    found = traps_of(tmp_path, text)
    assert [one.startswith(f"operations.report.submit.json: {trap}") for one in found] == ([True] if trap else [])


@pytest.mark.parametrize(
    ("given", "trap"),
    [
        (['{ status = 303, then = "ready" }'], "[0].status: names a redirect, which a GET follows: the rules see the"),
        (['{ status = [301, 302], then = "gone" }'], "[0].status: names a redirect"),
        (['{ status = 102, then = "pending" }'], "[0].status: names interim replies, which no rule sees"),
        (
            ['{ status = 204, json = "a", then = "ready" }'],
            "[0].json: is never true, because a reply with this status has no body; use header, or status alone",
        ),
        (
            ['{ then = "pending" }', '{ json = "done", then = "ready" }'],
            "[1]: never decides, because rules[0] holds for each such reply; put this rule before it, or give that",
        ),
        (['{ status = "4xx", then = "failed" }', '{ status = 404, then = "gone" }'], "[1]: never decides, because"),
        (['{ json = "a", then = "failed" }', '{ status = 200, json = "a", then = "ready" }'], "[1]: never decides"),
        (['{ status = 404, then = "gone" }', '{ status = "4xx", then = "failed" }'], ""),
        (['{ json = "a", then = "failed" }', '{ json = "b", then = "ready" }'], ""),
        (['{ word = "s", words = { a = "ready" } }', '{ then = "pending" }'], ""),
        (['{ status = [200, 303], then = "ready" }'], ""),
        (['{ status = 304, then = "pending" }'], ""),
    ],
)
def test_a_rule_that_never_decides(tmp_path: Path, given: list[str], trap: str) -> None:
    """No reply meets its conditions, or a rule before it has decided about each of them."""
    found = traps_of(tmp_path, rules(*given))
    assert [one.startswith(f"operations.report.poll.rules{trap}") for one in found] == ([True] if trap else [])


def test_what_a_post_does_not_follow(tmp_path: Path) -> None:
    """A redirect of another method than GET and HEAD is the reply; the reply to a HEAD has no body."""
    submit = 'rules = [{ status = 303, then = "accepted" }]\n'
    assert traps_of(tmp_path, changed('handle = "id"\n', f'handle = {{ header = "Location" }}\n{submit}')) == []
    text = rules('{ json = "a", then = "ready" }').replace(POLL_URL, f'method = "HEAD"\n{POLL_URL}')
    assert traps_of(tmp_path, text) == [
        "operations.report.poll.rules[0].json: is never true, because the reply to a HEAD has no body; "
        "use header, or status alone"
    ]


@pytest.mark.parametrize(
    ("body", "trap"),
    [
        ('{ downloads = ["https://a.example/1"] }', 'finds the link itself in the examples; write url = "@" beside it'),
        ('{ downloads = "https://a.example/1" }', "finds the link itself"),
        ('{ downloads = { href = "/1", id = 1 } }', "finds objects in which url = 'url' finds no link; they have the "),
        ('{ downloads = [{ url = "/1" }, { href = "/2" }] }', ""),
        ("{ downloads = [] }", ""),
    ],
)
def test_a_list_of_links(tmp_path: Path, body: str, trap: str) -> None:
    """What ``each`` finds in the examples is the link, or has no link where ``url`` looks for it."""
    found = traps_of(tmp_path, LISTED + EXAMPLE.format(body=body))
    assert [one.startswith(f"operations.report.results.files.each: {trap}") for one in found] == [True] * bool(trap)


def test_expressions_that_no_example_makes_true() -> None:
    """A condition must be true once, anything else must find a value once; what no example evaluates is not told."""
    text = (
        HEAD
        + SUBMIT
        + POLL.replace(OLD_RULE, "")
        + (
            'progress = "persent"\nretry_after = "wait"\n'
            'rules = [{ json = "state == \'DONE\'", then = "ready" }, { json = "more", then = "running" }]\n'
        )
        + RESULTS.replace("url =", 'label = "x"\nurl =')
    )
    body = '{ state = "done", more = true, wait = 0, percent = 5 }'
    text += EXAMPLE.format(body=body).replace('"Ready"', '"Pending"')
    assert never_true(Provider.read(text, "demo.toml")) == [
        "operations.report.poll.rules[0].json",
        "operations.report.poll.progress",
    ]


def _catalogue() -> Iterator[str]:
    folder = resources.files("tidewaiter.providers") / "catalog"
    return (one.name for one in folder.iterdir() if one.name.endswith(".toml"))


@pytest.mark.parametrize("name", sorted(_catalogue()))
def test_the_catalogue_has_no_traps(name: str) -> None:
    """Each built-in spec passes its own lint."""
    with resources.as_file(resources.files("tidewaiter.providers") / "catalog" / name) as path:
        assert lint(path) == []


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.toml")), ids=lambda file: file.stem)
def test_the_recipes_have_no_traps(file: Path) -> None:
    """What authors copy passes lint, too."""
    assert lint(file) == []


_FORMS = re.compile(r"^\| (.*?) \| (.*?) \| (.*?) \|$", re.MULTILINE)


def test_the_page_of_the_traps() -> None:
    """What its table advises has no trap; what it warns of has one."""
    rows = _FORMS.findall((DOCS / "recipes" / "traps.md").read_text("utf-8"))[1:]
    for wrong, _, right in rows[:2]:
        for given, count in ((wrong, 1), (right, 0)):
            (source,) = re.findall(r'^`json = "(.*)"`$', given)
            assert (negation_fault(source) is not None) == bool(count), source
    assert len(rows) == 12


def test_the_small_spec_has_none(tmp_path: Path) -> None:
    """What the tests above change has no trap of its own."""
    assert traps_of(tmp_path, WHOLE) == []
