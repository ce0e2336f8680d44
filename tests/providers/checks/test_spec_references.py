"""The messages about references and conditions that lead nowhere."""

import pytest

from tests.support.spec_samples import HEAD, MODE, PARAMS, POLL_URL, REQUEST, WHOLE, changed, faults_of, with_settings

LISTED = (
    HEAD
    + """
[operations.report]
title = "Report"

[operations.report.results.pages]
url = "/list"
items = "a"
query = { n = "${page.next}" }
next = "n"
"""
)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            changed(REQUEST, 'url = "/reports/${open"'),
            "operations.report.submit.url: has a ${ without its }",
            id="open reference",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/reports/${parms.x}"'),
            "operations.report.submit.url: refers to ${parms.x}, which does not exist (use params.NAME, "
            "account.NAME, kept.NAME, item.NAME, handle, callback_url, job.id, intent.key, page.next, page.number, "
            "page.offset, page.size, page.since, null)",
            id="unknown reference",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/reports/${params.x}"'),
            "operations.report.submit.url: refers to ${params.x}, but there is no such parameter (there are: none)",
            id="unknown parameter",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nquery = { p = "${params.p}" }')
            + '\n[operations.report.params]\np = { help = "x", secret = true }\n',
            "operations.report.submit.query.p: refers to ${params.p}, a secret, which only headers and bodies of "
            "before, submit and start may",
            id="secret in a URL",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\njson = { a = [{ b = "${account.x}" }] }'),
            "operations.report.submit.json.a[0].b: refers to ${account.x}, but there is no such setting (there are: "
            "server)",
            id="unknown setting",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/reports/${handle}"'),
            "operations.report.submit.url: refers to ${handle}, but here there is none, because no submit has "
            "named one",
            id="handle in submit",
        ),
        pytest.param(
            changed(POLL_URL, POLL_URL + 'query = { h = "${handle:path}" }\n'),
            "operations.report.poll.query.h: refers to ${handle:path}, which only a url may",
            id="path outside a url",
        ),
        pytest.param(
            changed(POLL_URL, POLL_URL + 'query = { p = "${page.number}" }\n'),
            "operations.report.poll.query.p: refers to ${page.number}, but here is no list with pages",
            id="page in poll",
        ),
        pytest.param(
            LISTED.replace("${page.next}", "${page.size}"),
            "operations.report.results.pages.query.n: refers to ${page.size}, but there is no size",
            id="size of a page",
        ),
        pytest.param(
            LISTED.replace('"/list"', '"/list/${page.next}"'),
            "operations.report.results.pages.url: refers to ${page.next}, which may be missing; here it must not be",
            id="cursor in a path",
        ),
        pytest.param(
            LISTED.replace('"/list"', '"/list/${handle}"'),
            "operations.report.results.pages.url: refers to ${handle}, but here there is none, because no submit has "
            "named one",
            id="handle without submit",
        ),
        pytest.param(
            WHOLE + "[operations.report.adopt]\nurl = '/list'\nitems = 'a'\nhandle = 'id'\n"
            "match = { a = '${handle}', b = '${intent.key}', c = '${page.number}' }\n",
            "operations.report.adopt.match.a: refers to ${handle}, but here there is none, because no submit has "
            "named one",
            id="handle in adopt",
        ),
        pytest.param(
            changed(POLL_URL, POLL_URL + 'query = { c = "${callback_url}" }\n'),
            "operations.report.poll.query.c: refers to ${callback_url}, which only the query, headers and body of a "
            "submit may",
            id="callback in poll",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\njson = { a = ["${callback_url}"] }'),
            "operations.report.submit.json: sends ${callback_url}, so there must be a table "
            "[operations.report.callback] with the slower schedule",
            id="callback without schedule",
        ),
        pytest.param(
            WHOLE + "[operations.report.callback]\n",
            "operations.report.callback: is never used, because no submit sends ${callback_url}",
            id="schedule without callback",
        ),
        pytest.param(
            changed("${account.server}/v1", "${account.server}/${job.id}"),
            "base_url: refers to ${job.id}, but there is no job here, only the account",
            id="job in base_url",
        ),
        pytest.param(
            changed('"${account.server}/v1"', '["${account.server}", "${account.note}"]', with_settings(MODE)),
            "base_url: refers to ${account.note}, which may be missing; here it must not be",
            id="optional setting in the last base_url",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nheaders = { X-Key = "${account.token}" }', with_settings(MODE)),
            "operations.report.submit.headers.X-Key: refers to ${account.token}, a secret, which only auth may, "
            "because it is kept from other origins",
            id="secret outside auth",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/${account.note}"', with_settings(MODE)),
            "operations.report.submit.url: refers to ${account.note}, which may be missing; here it must not be",
            id="optional setting in url",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/${params.hint}"') + PARAMS,
            "operations.report.submit.url: refers to ${params.hint}, which may be missing; here it must not be",
            id="optional parameter in url",
        ),
        pytest.param(
            changed(REQUEST, 'url = "/${params.group}"') + PARAMS,
            "operations.report.submit.url: refers to ${params.group}, which may be missing; here it must not be",
            id="conditional parameter in url",
        ),
        pytest.param(
            changed("[account]", '[[auth]]\ntype = "basik"\n[account]'),
            "auth[0]: type must be one of 'none', 'basic', 'bearer', 'header', 'query', 'body', 'hmac', 'aws4', "
            "'session', 'oauth2', 'jwt', 'several'",
            id="kind of auth",
        ),
        pytest.param(
            changed("[account]", '[auth]\ntype = "bearer"\ntoken = "x"\nkey = "y"\n[account]'),
            "auth.key: unknown key (there are: token, type, when)",
            id="key of auth",
        ),
        pytest.param(
            changed("[account]", '[auth]\ntype = "bearer"\ntoken = "${account.note}"\n[account]', with_settings(MODE)),
            "auth.token: refers to ${account.note}, which may be missing; here it must not be",
            id="optional setting in auth",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nwhen = { colour = "red" }\n', with_settings(MODE)),
            "operations.report.results.when.colour: there is nothing of that name to look at (there are: server, "
            "mode, token, note)",
            id="when of nothing",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nwhen = { mode = "red" }\n', with_settings(MODE)),
            "operations.report.results.when.mode: 'red' is not among the permitted values (fast, slow)",
            id="when of no value",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nwhen = { note = "x" }\n', with_settings(MODE)),
            "operations.report.results.when.note: only what has an enum, or is a boolean, can decide",
            id="when of text",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nwhen = { mode = "fast" }\n', with_settings(MODE)),
            "operations.report.results: there is none for the case that mode is slow",
            id="a case without variant",
        ),
        pytest.param(
            with_settings('on = { help = "x", type = "boolean", default = true }\n').replace(
                '/file"\n', '/file"\nwhen = { on = true }\n'
            ),
            "operations.report.results: there is none for the case that on is false",
            id="a boolean without variant",
        ),
        pytest.param(
            changed('/file"\n', '/file"\nwhen = { params.kind = "b" }\n') + PARAMS,
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
            with_settings('on = { help = "x", type = "boolean", required = false }\n')
            + '[operations.report.cancel]\nurl = "/x"\nwhen = { on = true }\n',
            "operations.report.cancel.when.on: only what is required, or has a default, can decide",
            id="when of the optional",
        ),
        pytest.param(
            with_settings('params = { help = "x" }\n'),
            "account.params: is no possible name, because it has a meaning in when",
            id="reserved name",
        ),
    ],
)
def test_each_message(text: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    assert faults_of(text) == [f"demo.toml: {fault}"]


def test_a_conditional_parameter_may_stand_where_its_condition_holds() -> None:
    """The URL of a variant may count on a parameter that is asked for in just that case."""
    text = changed("[operations.report.submit]", "[[operations.report.submit]]\nwhen = { params.kind = 'a' }")
    second = '[[operations.report.submit]]\nwhen = { params.kind = "b" }\nurl = "/${params.group}"\nhandle = "id"\n'
    assert faults_of(text + PARAMS + second) == []
