"""The messages about faulty specs."""

import pytest

from tests.support.spec_samples import (
    HEAD,
    MODE,
    PARAMS,
    POLL,
    POLL_URL,
    REQUEST,
    RESULTS,
    SUBMIT,
    WHOLE,
    changed,
    faults_of,
    with_settings,
)

WITHOUT_SUBMIT = HEAD + '[operations.report]\ntitle = "Report"\n'
PAGED = WITHOUT_SUBMIT + '[operations.report.results.pages]\nurl = "/list"\nitems = "a"\n'
ADOPTS = WHOLE + "[operations.report.adopt]\nurl = '/list'\nitems = \"a\"\nmatch = { a = 'x' }\nhandle = 'id'\n"


def test_a_sound_spec_has_no_fault() -> None:
    """The spec that the other tests break is whole."""
    assert faults_of(WHOLE) == []
    assert faults_of(with_settings(MODE)) == []
    assert faults_of(WHOLE + PARAMS) == []
    assert faults_of(PAGED) == []
    assert faults_of(ADOPTS) == []


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
            changed("title = ", "titel = 1\ntitle = "),
            "titel: unknown key (there are: account, auth, auths, base_url, documentation, error, examples, limits, "
            "name, operations, origins, probe, reply, title, verified)",
            id="unknown key",
        ),
        pytest.param(changed('title = "Demo"\n', ""), "title: is missing", id="missing key"),
        pytest.param(changed('"Demo"', "5"), "title: must be text", id="wrong type"),
        pytest.param(
            with_settings('note = { help = "a note", default = "" }\n'),
            "account.note: the default is empty",
            id="an empty default of a setting",
        ),
        pytest.param(
            with_settings('note = { help = "a note", default = "a\\nb" }\n'),
            "account.note: the default holds a line break or another control character",
            id="a default with a line break",
        ),
        pytest.param(
            with_settings('wide = { type = "boolean", help = "w", default = "yes" }\n'),
            'account.wide: the default must be true or false: "yes" is a text; write true, without quotes',
            id="a boolean default in quotes",
        ),
        pytest.param(changed('"Demo"', '""'), "title: must not be empty", id="empty"),
        pytest.param(
            changed('"demo"', '"De mo"'), "name: does not match the pattern ^[a-z][a-z0-9-]*$", id="name of a provider"
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
            changed(REQUEST, REQUEST + '\nquery = { c = "${callback_url}" }')
            + "[operations.report.callback]\ninterval_s = 60\ncap_s = 10\n",
            "operations.report.callback: cap_s is less than interval_s",
            id="schedule with callbacks",
        ),
        pytest.param(
            WHOLE + "[operations.report.schedule]\ncap_s = 60\nstall_s = 60\n",
            "operations.report.schedule: stall_s is not more than cap_s, so one poll could look like a stall",
            id="stall",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nquery = { c = "${callback_url}" }')
            + "[operations.report.schedule]\nstall_s = 1800\n[operations.report.callback]\n",
            "operations.report: schedule.stall_s is not more than callback.cap_s, so one poll could look like a stall",
            id="stall with callbacks",
        ),
        pytest.param(
            WHOLE + '[operations.report.schedule]\nlearn_by = ["weather"]\n',
            "operations.report: schedule.learn_by names weather, which is no parameter (there are: none)",
            id="learn by what is no parameter",
        ),
        pytest.param(
            WHOLE + '[operations.report.schedule]\ninterval_s = "60"\n',
            "operations.report.schedule.interval_s: must be a number",
            id="number as text",
        ),
        pytest.param(
            changed('"error"', '"error.["'), "error: not JMESPath: Incomplete expression", id="expression in short form"
        ),
        pytest.param(
            changed('handle = "id"', 'handle = ["id", { json = "nofun(@)" }]'),
            "operations.report.submit.handle[1].json: not JMESPath: there is no function nofun(); there are abs, avg, "
            "ceil, contains, ends_with, floor, join, keys, length, map, max, max_by, merge, min, min_by, not_null, "
            "reverse, sort, sort_by, starts_with, sum, to_array, to_number, to_string, type, values",
            id="expression in a list",
        ),
        pytest.param(
            changed('handle = "id"', 'handle = { text = "(" }'),
            "operations.report.submit.handle.text: not a regular expression: missing ), unterminated subpattern at "
            "position 0",
            id="regex",
        ),
        pytest.param(
            changed('handle = "id"', 'handle = { header = "A", code = true }'),
            "operations.report.submit.handle: needs exactly one of json, header, text and code",
            id="two sources",
        ),
        pytest.param(
            changed(REQUEST, 'url = "reports"'),
            "operations.report.submit.url: must begin with /, with ${handle} or ${kept.NAME}, or in a list with "
            "${item.NAME}",
            id="relative url",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nmethod = "FETCH"'),
            "operations.report.submit.method: must be 'GET', 'HEAD', 'POST', 'PUT', 'PATCH' or 'DELETE'",
            id="method",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nmethod = "GET"\njson = {}'),
            "operations.report.submit: a GET request has no body",
            id="body of a GET",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + "\nform = {}\njson = {}"),
            "operations.report.submit: a request has one of json, form, text and multipart",
            id="two bodies",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nheaders = { "X Y" = "1" }'),
            "operations.report.submit.headers.X Y: does not match the pattern ^[A-Za-z0-9!#$%&'*+.^_`|~-]+$",
            id="name of a header",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + "\nquery = { a = 1.5 }"),
            "operations.report.submit.query.a: must be text, a whole number or a boolean",
            id="query",
        ),
        pytest.param(
            changed("words = {", 'then = "ready"\nwords = {'),
            "operations.report.poll.rules[0]: needs either then, or word and words",
            id="two effects",
        ),
        pytest.param(
            changed('word = "status"\n', ""),
            "operations.report.poll.rules[0]: word and words belong together",
            id="words without word",
        ),
        pytest.param(
            changed('pending = "pending"', 'pending = "waiting"'),
            "operations.report.poll.rules[0].words.pending: must be 'pending', 'running', 'ready', 'partial', "
            "'empty', 'failed', 'again', 'cancelled', 'gone', 'retry', 'throttled' or 'unauthorized'",
            id="effect",
        ),
        pytest.param(
            changed('done = "ready"', 'done = "ready", " DONE" = "failed"'),
            "operations.report.poll.rules[0].words: has a word twice (spaces and case are ignored):  DONE, done",
            id="a word twice",
        ),
        pytest.param(
            changed('word = "status"', 'word = "status"\nstatus = ["2xx", "7xx"]'),
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
            changed(', done = "ready"', ""),
            "operations.report: poll needs a rule that says when the job is ready",
            id="never ready",
        ),
        pytest.param(
            HEAD + SUBMIT + RESULTS,
            "operations.report: submit has a handle, so there must be a poll that uses it",
            id="no poll",
        ),
        pytest.param(
            changed('handle = "id"\n', ""),
            "operations.report: submit needs handle, or a rule that says when its reply is the result",
            id="no handle",
        ),
        pytest.param(
            changed('handle = "id"\n', 'rules = [{ then = "ready" }]\n'),
            "operations.report: a submit that is ready at once, and has no handle, needs results that are inline",
            id="ready without inline",
        ),
        pytest.param(HEAD + SUBMIT + POLL, "operations.report.results: is missing", id="no results"),
        pytest.param(
            WITHOUT_SUBMIT + "[operations.report.results]\ninline = true\n",
            "operations.report: without submit, results need url, download, lists, pages or resolve",
            id="inline without submit",
        ),
        pytest.param(
            WITHOUT_SUBMIT + POLL.replace("${handle}", "x") + RESULTS.replace("${handle}", "x"),
            "operations.report: without submit there is no remote job to adopt, reuse, poll, cancel or clean up",
            id="poll without submit",
        ),
        pytest.param(
            PAGED + 'next = "a"\nnext_url = "b"\n',
            "operations.report.results.pages: a page names the next one by next or by next_url",
            id="two ways to the next page",
        ),
        pytest.param(
            PAGED + 'last_values = ["null"]\n',
            "operations.report.results.pages: last_values are for next, and there is none",
            id="last_values",
        ),
        pytest.param(
            PAGED.replace('items = "a"\n', ""),
            "operations.report.results.pages: pages of JSON need items, the array to join",
            id="pages without items",
        ),
        pytest.param(
            PAGED + 'join = "csv"\n',
            "operations.report.results.pages: items and last look into JSON, and these pages are csv",
            id="items of csv",
        ),
        pytest.param(
            PAGED.replace(
                "[operations.report.results.pages]",
                "[operations.report.results]\nsend_auth = false\n\n[operations.report.results.pages]",
            ),
            "operations.report.results: rules and send_auth are for files; pages have rules of their own, and are "
            "always signed",
            id="send_auth of pages",
        ),
        pytest.param(
            PAGED + 'rules = [{ status = 404, then = "gone" }]\n',
            "operations.report.results.pages.rules[0].then: must be 'empty', 'pending', 'expired', 'again', 'retry', "
            "'refused', 'throttled' or 'unauthorized'",
            id="effect of a page",
        ),
        pytest.param(
            ADOPTS.replace("match = { a = 'x' }\n", ""),
            "operations.report.adopt: needs match or where, or every item would match",
            id="adopt anything",
        ),
        pytest.param(
            ADOPTS.replace('items = "a"\n', ""), "operations.report.adopt.items: is missing", id="adopt items"
        ),
        pytest.param(
            ADOPTS.replace("match = { a = 'x' }", "match = { 'a[' = 'x' }"),
            "operations.report.adopt.match.a[: not JMESPath: Incomplete expression",
            id="expression of match",
        ),
        pytest.param(
            ADOPTS + 'absent = "fail"\n',
            "operations.report.adopt.absent: must be 'repeat' or 'park'",
            id="absent",
        ),
        pytest.param(
            changed('/file"\n', '/file"\ninline = true\n'),
            "operations.report.results: needs exactly one of inline, url, download, files, pages and resolve",
            id="two places",
        ),
        pytest.param(
            changed(
                'url = "/reports/${handle}/file"',
                'resolve = { url = "/reports/${handle}/file", link = "url", when = { params.kind = "a" } }',
            ),
            "operations.report.results.resolve.when: unknown key (there are: auth, base, form, gzip, headers, json, "
            "keep, link, method, multipart, query, reply, send_auth_if, text, url)",
            id="when inside a variant",
        ),
        pytest.param(
            changed('url = "/reports/${handle}/file"', 'resolve = { url = "/reports/${handle}/file", link = [] }'),
            "operations.report.results.resolve.link: must not be empty",
            id="link from nowhere",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nsend_auth_if = "a"\n'),
            "operations.report.results: send_auth_if is for a list of files, and there is none",
            id="send_auth_if",
        ),
        pytest.param(
            changed(POLL_URL, POLL_URL + 'progress = { done = "a" }\n'),
            "operations.report.poll.progress: done and total belong together, without any other key",
            id="progress",
        ),
        pytest.param(
            with_settings('a = { help = "x", type = "uri" }\n'),
            "account.a.type: must be 'string', 'integer', 'boolean', 'url' or 'private_key'",
            id="type of a setting",
        ),
        pytest.param(
            with_settings('a = { help = "x", enum = ["x", "X"] }\n'),
            "account.a: enum has a value twice",
            id="enum twice",
        ),
        pytest.param(
            with_settings('a = { help = "x", enum = ["x"], default = "y" }\n'),
            "account.a: the default 'y' is not permitted (permitted: x)",
            id="default",
        ),
        pytest.param(
            with_settings('a = { help = "x", type = "integer", example = "many" }\n'),
            "account.a: the example must be a whole number, without quotes",
            id="example value",
        ),
        pytest.param(
            with_settings('a = { help = "x", secret = true, default = "y" }\n'),
            "account.a: a secret is a string or a private_key, without default and enum",
            id="secret with default",
        ),
        pytest.param(
            with_settings('a = { help = "x", type = "integer", enum = ["1"] }\n'),
            "account.a: enum, pattern, excludes, max_length, counted and contains are for strings",
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
