"""Every message about a faulty spec, as the person who wrote the spec reads it."""

from pathlib import Path

import pytest

from app.providers.lint import lint
from tests.providers.bench import HEAD, POLL, RESULTS, SUBMIT, WHOLE, faults_of

MODE = """
mode = { help = "the mode", enum = ["fast", "slow"], default = "fast" }
token = { help = "the token", secret = true }
note = { help = "a note", required = false }
"""
PARAMS = """
[operations.report.params]
kind = { help = "the kind", enum = ["a", "b"], default = "a" }
group = { help = "the group", when = { kind = "b" } }
hint = { help = "a hint", required = false }
"""


def _with(old: str, new: str, text: str = WHOLE) -> str:
    assert old in text
    return text.replace(old, new, 1)


def _settings(more: str) -> str:
    return HEAD + more + SUBMIT + POLL + RESULTS


REQUEST = 'url = "/reports"'
POLL_URL = 'url = "/reports/${handle}"\n'


def test_a_sound_spec_has_no_fault() -> None:
    """The spec that the other tests break is whole."""
    assert faults_of(WHOLE) == []
    assert faults_of(_settings(MODE)) == []
    assert faults_of(WHOLE + PARAMS) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            'name = "demo"\n[x\n',
            "line 2, column 3: is not TOML: Expected ']' at the end of a table declaration",
            id="syntax",
        ),
        pytest.param(
            'name = "demo"\nname = "demo"\n',
            "line 2, column 14: is not TOML: Cannot overwrite a value",
            id="a key twice",
        ),
        pytest.param(
            _with("title = ", "titel = 1\ntitle = "),
            "titel: unknown key (there are: account, auth, base_url, documentation, error, examples, limits, name, "
            "operations, title)",
            id="unknown key",
        ),
        pytest.param(_with('title = "Demo"\n', ""), "title: is missing", id="missing key"),
        pytest.param(_with('"Demo"', "5"), "title: must be text", id="wrong type"),
        pytest.param(_with('"Demo"', '""'), "title: must not be empty", id="empty"),
        pytest.param(
            _with('"demo"', '"De mo"'), "name: does not match the pattern ^[a-z][a-z0-9-]*$", id="name of a provider"
        ),
        pytest.param(
            WHOLE + "[limits]\nrequests = 0\n",
            "limits.requests: input should be greater than or equal to 1",
            id="out of range",
        ),
        pytest.param(
            WHOLE + "[operations.report.schedule]\ninterval_s = 60\ncap_s = 10\n",
            "operations.report.schedule: cap_s is less than interval_s",
            id="schedule",
        ),
        pytest.param(
            WHOLE + '[operations.report.schedule]\ninterval_s = "60"\n',
            "operations.report.schedule.interval_s: must be a number",
            id="number as text",
        ),
        pytest.param(
            _with('"error"', '"error.["'), "error: not JMESPath: Incomplete expression", id="expression in short form"
        ),
        pytest.param(
            _with('handle = "id"', 'handle = ["id", { json = "nofun(@)" }]'),
            "operations.report.submit.handle[1].json: not JMESPath: there is no function nofun(); there are abs, avg, "
            "ceil, contains, ends_with, floor, join, keys, length, map, max, max_by, merge, min, min_by, not_null, "
            "reverse, sort, sort_by, starts_with, sum, to_array, to_number, to_string, type, values",
            id="expression in a list",
        ),
        pytest.param(
            _with('handle = "id"', 'handle = { text = "(" }'),
            "operations.report.submit.handle.text: not a regular expression: missing ), unterminated subpattern at "
            "position 0",
            id="regex",
        ),
        pytest.param(
            _with('handle = "id"', 'handle = { header = "A", code = true }'),
            "operations.report.submit.handle: needs exactly one of json, header, text and code",
            id="two sources",
        ),
        pytest.param(
            _with(REQUEST, 'url = "reports"'),
            "operations.report.submit.url: must begin with / or with ${handle}",
            id="relative url",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + '\nmethod = "FETCH"'),
            "operations.report.submit.method: must be 'GET', 'POST', 'PUT', 'PATCH' or 'DELETE'",
            id="method",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + '\nmethod = "GET"\njson = {}'),
            "operations.report.submit: a GET request has no body",
            id="body of a GET",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + "\nform = {}\njson = {}"),
            "operations.report.submit: a request has either json or form",
            id="two bodies",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + '\nheaders = { "X Y" = "1" }'),
            "operations.report.submit.headers.X Y: does not match the pattern ^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            id="name of a header",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + "\nquery = { a = 1.5 }"),
            "operations.report.submit.query.a: must be text, a whole number or a boolean",
            id="query",
        ),
        pytest.param(
            _with("words = {", 'then = "ready"\nwords = {'),
            "operations.report.poll.rules[0]: needs either then, or word and words",
            id="two effects",
        ),
        pytest.param(
            _with('word = "status"\n', ""),
            "operations.report.poll.rules[0]: word and words belong together",
            id="words without word",
        ),
        pytest.param(
            _with('pending = "pending"', 'pending = "waiting"'),
            "operations.report.poll.rules[0].words.pending: must be 'pending', 'running', 'ready', 'failed', "
            "'cancelled', 'gone', 'retry', 'throttled' or 'unauthorized'",
            id="effect",
        ),
        pytest.param(
            _with('done = "ready"', 'done = "ready", " DONE" = "failed"'),
            "operations.report.poll.rules[0].words: has a word twice, for they are compared trimmed and in one case:  "
            "DONE, done",
            id="a word twice",
        ),
        pytest.param(
            _with('word = "status"', 'word = "status"\nstatus = ["2xx", "7xx"]'),
            "operations.report.poll.rules[0].status[1]: must be a status code from 100 to 599, or a class such as "
            "'2xx'",
            id="status code",
        ),
        pytest.param(
            HEAD + SUBMIT + POLL.split("[[")[0] + RESULTS,
            "operations.report.poll.rules: is missing",
            id="no rules",
        ),
        pytest.param(
            HEAD + SUBMIT + POLL.split("[[")[0] + "rules = []\n" + RESULTS,
            "operations.report.poll.rules: must not be empty",
            id="empty rules",
        ),
        pytest.param(
            _with(', done = "ready"', ""),
            "operations.report: poll needs a rule that says when the job is ready",
            id="never ready",
        ),
        pytest.param(
            HEAD + SUBMIT + RESULTS,
            "operations.report: submit has a handle, so there must be a poll that uses it",
            id="no poll",
        ),
        pytest.param(
            _with('handle = "id"\n', ""),
            "operations.report: submit needs handle, or a rule that says when its reply is the result",
            id="no handle",
        ),
        pytest.param(
            _with('handle = "id"\n', 'handle = "id"\nrules = [{ then = "ready" }]\n'),
            "operations.report: a submit that is ready at once needs results that are inline",
            id="ready without inline",
        ),
        pytest.param(HEAD + SUBMIT + POLL, "operations.report.results: is missing", id="no results"),
        pytest.param(
            _with('/file"\n', '/file"\ninline = true\n'),
            "operations.report.results: needs exactly one of inline, url, files and resolve",
            id="two places",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nsend_auth_if = "a"\n'),
            "operations.report.results: send_auth_if looks at the reply that lists the files, and there is none",
            id="send_auth_if",
        ),
        pytest.param(
            _with(POLL_URL, POLL_URL + 'progress = { done = "a" }\n'),
            "operations.report.poll.progress: done and total belong together, without any other key",
            id="progress",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/reports/${open"'),
            "operations.report.submit.url: has a ${ without its }",
            id="open reference",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/reports/${parms.x}"'),
            "operations.report.submit.url: refers to ${parms.x}, which there is not (there are params.NAME, "
            "account.NAME, handle, callback_url, job.id, intent.key)",
            id="unknown reference",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/reports/${params.x}"'),
            "operations.report.submit.url: refers to ${params.x}, but there is no such parameter (there are: none)",
            id="unknown parameter",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + '\njson = { a = [{ b = "${account.x}" }] }'),
            "operations.report.submit.json.a[0].b: refers to ${account.x}, but there is no such setting (there are: "
            "server)",
            id="unknown setting",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/reports/${handle}"'),
            "operations.report.submit.url: refers to ${handle}, but before the submit there is none",
            id="handle in submit",
        ),
        pytest.param(
            _with(POLL_URL, POLL_URL + 'query = { c = "${callback_url}" }\n'),
            "operations.report.poll.query.c: refers to ${callback_url}, which only the query, headers and body of a "
            "submit may",
            id="callback in poll",
        ),
        pytest.param(
            _with("${account.server}/v1", "${account.server}/${job.id}"),
            "base_url: refers to ${job.id}, but there is no job here, only the account",
            id="job in base_url",
        ),
        pytest.param(
            _with(REQUEST, REQUEST + '\nheaders = { X-Key = "${account.token}" }', _settings(MODE)),
            "operations.report.submit.headers.X-Key: refers to ${account.token}, a secret, which only auth may, "
            "because it is kept from other origins",
            id="secret outside auth",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/${account.note}"', _settings(MODE)),
            "operations.report.submit.url: refers to ${account.note}, which may be missing; here it must not be",
            id="optional setting in url",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/${params.hint}"') + PARAMS,
            "operations.report.submit.url: refers to ${params.hint}, which may be missing; here it must not be",
            id="optional parameter in url",
        ),
        pytest.param(
            _with(REQUEST, 'url = "/${params.group}"') + PARAMS,
            "operations.report.submit.url: refers to ${params.group}, which may be missing; here it must not be",
            id="conditional parameter in url",
        ),
        pytest.param(
            _with("[account]", '[[auth]]\ntype = "basik"\n[account]'),
            "auth[0]: type must be one of 'none', 'basic', 'bearer', 'header', 'query'",
            id="kind of auth",
        ),
        pytest.param(
            _with("[account]", '[auth]\ntype = "bearer"\ntoken = "x"\nkey = "y"\n[account]'),
            "auth.key: unknown key (there are: token, type, when)",
            id="key of auth",
        ),
        pytest.param(
            _with("[account]", '[auth]\ntype = "bearer"\ntoken = "${account.note}"\n[account]', _settings(MODE)),
            "auth.token: refers to ${account.note}, which may be missing; here it must not be",
            id="optional setting in auth",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nwhen = { colour = "red" }\n', _settings(MODE)),
            "operations.report.results.when.colour: there is nothing of that name to look at (there are: server, "
            "mode, token, note)",
            id="when of nothing",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nwhen = { mode = "red" }\n', _settings(MODE)),
            "operations.report.results.when.mode: 'red' is not among the permitted values (fast, slow)",
            id="when of no value",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nwhen = { note = "x" }\n', _settings(MODE)),
            "operations.report.results.when.note: only what has an enum, or is a boolean, can decide",
            id="when of text",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nwhen = { mode = "fast" }\n', _settings(MODE)),
            "operations.report.results: there is none for the case that mode is slow",
            id="a case without variant",
        ),
        pytest.param(
            _settings('on = { help = "x", type = "boolean", default = true }\n').replace(
                '/file"\n', '/file"\nwhen = { on = true }\n'
            ),
            "operations.report.results: there is none for the case that on is false",
            id="a boolean without variant",
        ),
        pytest.param(
            _with('/file"\n', '/file"\nwhen = { params.kind = "b" }\n') + PARAMS,
            "operations.report.results: there is none for the case that kind is a",
            id="a parameter without variant",
        ),
        pytest.param(
            WHOLE.replace("[operations.report.results]", "[[operations.report.results]]")
            + '[[operations.report.results]]\nurl = "/other"\n',
            "operations.report.results: what stands after number 0 is never used, because that one has no when",
            id="a variant without use",
        ),
        pytest.param(
            _settings('on = { help = "x", type = "boolean", required = false }\n')
            + '[operations.report.cancel]\nurl = "/x"\nwhen = { on = true }\n',
            "operations.report.cancel.when.on: only what is required, or has a default, can decide",
            id="when of the optional",
        ),
        pytest.param(
            _settings('params = { help = "x" }\n'),
            "account.params: is no possible name, because it has a meaning in when",
            id="reserved name",
        ),
        pytest.param(
            _settings('a = { help = "x", type = "uri" }\n'),
            "account.a.type: must be 'string', 'integer', 'boolean' or 'url'",
            id="type of a setting",
        ),
        pytest.param(
            _settings('a = { help = "x", enum = ["x", "X"] }\n'), "account.a: enum has a value twice", id="enum twice"
        ),
        pytest.param(
            _settings('a = { help = "x", enum = ["x"], default = "y" }\n'),
            "account.a: the default 'y' is not permitted (permitted: x)",
            id="default",
        ),
        pytest.param(
            _settings('a = { help = "x", type = "integer", example = "many" }\n'),
            "account.a: the example must be a whole number, not 'many'",
            id="example value",
        ),
        pytest.param(
            _settings('a = { help = "x", secret = true, default = "y" }\n'),
            "account.a: a secret is a string without default and enum",
            id="secret with default",
        ),
        pytest.param(
            _settings('a = { help = "x", type = "integer", enum = ["1"] }\n'),
            "account.a: enum, pattern and max_length are for strings",
            id="enum of numbers",
        ),
        pytest.param(
            WHOLE + '[operations.report.params]\np = { help = "x", enum = ["A"], aliases = { B = "C" } }\n',
            "operations.report.params.p: the alias B stands for C, which enum does not have",
            id="alias of nothing",
        ),
        pytest.param(
            WHOLE + '[operations.report.params]\np = { help = "x", enum = ["A", "B"], aliases = { b = "A" } }\n',
            "operations.report.params.p: the alias b is a value of enum itself",
            id="alias of itself",
        ),
        pytest.param(
            WHOLE + '[operations.report.params]\n"P q" = { help = "x" }\n',
            "operations.report.params.P q: does not match the pattern ^[a-z][a-z0-9_]*$",
            id="name of a parameter",
        ),
        pytest.param(
            WHOLE + '[[examples]]\nname = "e"\noperation = "other"\nstep = "poll"\nrequest = { url = "x" }\n',
            "examples[0].operation: there is no operation 'other' (there are: report)",
            id="example of nothing",
        ),
        pytest.param(
            WHOLE + '[[examples]]\nname = "e"\noperation = "report"\nstep = "poll"\n',
            "examples[0]: needs a request, or a reply and its outcome",
            id="example without content",
        ),
        pytest.param(
            WHOLE + '[[examples]]\nname = "e"\noperation = "report"\nstep = "poll"\nreply = { status = 200 }\n',
            "examples[0]: reply and outcome belong together",
            id="reply without outcome",
        ),
        pytest.param(
            WHOLE + '[[examples]]\nname = "e"\noperation = "report"\nstep = "file"\nreply = { status = 200 }\n'
            'outcome = { is = "File" }\n',
            "examples[0]: a file's reply needs the link that was followed",
            id="file without link",
        ),
    ],
)
def test_each_message(text: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    assert faults_of(text) == [f"demo.toml: {fault}"]


def test_all_faults_come_at_once() -> None:
    """Mistakes of structure do not hide mistakes of meaning, whichever table they are in."""
    text = _with(
        '"Demo"', "5", _with(REQUEST, 'url = "/${handle}/${params.x}"', _with("[account]", "colour = 1\n[account]"))
    )
    assert [line.split(": ")[1] for line in faults_of(text)] == [
        "colour",
        "operations.report.submit.url",
        "operations.report.submit.url",
        "title",
    ]


def test_a_conditional_parameter_may_stand_where_its_condition_holds() -> None:
    """The URL of a variant may count on a parameter that is asked for in just that case."""
    text = _with("[operations.report.submit]", "[[operations.report.submit]]\nwhen = { params.kind = 'a' }")
    second = '[[operations.report.submit]]\nwhen = { params.kind = "b" }\nurl = "/${params.group}"\nhandle = "id"\n'
    assert faults_of(text + PARAMS + second) == []


def test_files_that_cannot_be_read_are_faults(tmp_path: Path) -> None:
    """No traceback for a file that is not there, or is not text."""
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    (missing,) = lint(tmp_path / "none.toml")
    (binary,) = lint(tmp_path / "binary.toml")
    assert "cannot be read" in missing.reason
    assert "cannot be read" in binary.reason


def test_a_file_is_linted_under_its_path(tmp_path: Path) -> None:
    """The path that was given is the path that is told."""
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE)
    assert lint(path) == []
    path.write_text("name = 1")
    assert {fault.file for fault in lint(path)} == {str(path)}
