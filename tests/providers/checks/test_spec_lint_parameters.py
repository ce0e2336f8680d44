"""The messages about parameters that are objects and arrays."""

import pytest

from tests.support.spec_samples import REQUEST, WHOLE, changed, faults_of

PARAMS = WHOLE + "[operations.report.params]\n"
OBJECT = 'p = { type = "object", help = "x", required = false }\n'
IN = "operations.report.params"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param(
            PARAMS + 'p = { help = "x", type = "boolean", default = "true" }\n',
            f'{IN}.p: the default must be true or false: "true" is a text; write true, without quotes',
            id="a boolean in quotes",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "integer", example = "5" }\n',
            f'{IN}.p: the example must be a whole number: "5" is a text; write 5, without quotes',
            id="a number in quotes",
        ),
        pytest.param(
            (PARAMS + 'p = { help = "x", default = "" }\n').replace('url = "/reports"', 'url = "/reports/${params.p}"'),
            f"{IN}.p.default: '' cannot be a part of a URL",
            id="a default that no URL can have",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", fields = { a = { help = "y" } } }\n',
            f"{IN}.p: fields are for objects",
            id="fields",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", max_items = 2 }\n',
            f"{IN}.p: items and max_items are for arrays",
            id="items",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { help = "y", typ = 1 } } }\n',
            f"{IN}.p.fields.a.typ: unknown key (there are: aliases, also, any_case, as_written, contains, counted, "
            "default, enum, example, excludes, fields, help, items, max_items, max_length, more, pattern, required, "
            "secret, type, when)",
            id="unknown key inside",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { type = "integer" } } }\n',
            f"{IN}.p.fields.a.help: is missing",
            id="field without help",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { "a b" = { help = "y" } } }\n',
            f"{IN}.p.fields.a b: does not match the pattern ^[^\\s.\\[\\]]+$",
            id="name of a field",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { help = "y", also = ["b"] }, '
            'b = { help = "y" } } }\n',
            f"{IN}.p: the name b is that of two fields",
            id="name twice",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", also = ["q"] }\nq = { help = "y", required = false }\n',
            "operations.report: the name q is that of two parameters",
            id="name of two parameters",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "array", items = { required = false } }\n',
            f"{IN}.p.items: an item has no when, required, default and also, because it has no name",
            id="optional item",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", secret = true, default = "y" }\n',
            f"{IN}.p: a secret is a string, without default and enum",
            id="secret with a default",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { help = "y", secret = true } } }\n',
            f"{IN}.p: a secret is a parameter of its own, not a part of an object or array",
            id="secret inside",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", counted = { L = 2 } }\n',
            f"{IN}.p: counted applies to max_length, and there is none",
            id="counted without length",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", any_case = true }\n',
            f"{IN}.p: any_case applies to contains and counted, and there is neither",
            id="any case of nothing",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "integer", contains = "1" }\n',
            f"{IN}.p: enum, pattern, excludes, max_length, counted and contains are for strings",
            id="contained in a number",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { help = "y" } }, default = { b = 1 } }\n',
            f"{IN}.p: the default: b unknown field (there are: a)",
            id="default inside",
        ),
        pytest.param(
            PARAMS + 'p = { help = "x", type = "object", fields = { a = { help = "y", when = { b = 1 } } } }\n',
            f"{IN}.p.fields.a.when.b: there is nothing of that name to look at (there are: none)",
            id="when inside",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nquery = { q = "${params.p}" }', PARAMS) + OBJECT,
            "operations.report.submit.query.q: refers to ${params.p}, an object, which may stand only alone in its "
            "text, in json, or as * of query and form",
            id="object in a query",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\njson = { q = "a ${params.p}" }', PARAMS) + OBJECT,
            "operations.report.submit.json.q: refers to ${params.p}, an object, which may stand only alone in its "
            "text, in json, or as * of query and form",
            id="object in a text",
        ),
        pytest.param(
            changed(REQUEST, REQUEST + '\nquery = { "*" = "a ${params.p}" }', PARAMS) + OBJECT,
            "operations.report.submit.query.*: refers to ${params.p}, an object, which may stand only alone in its "
            "text, in json, or as * of query and form",
            id="object in a text of a spread",
        ),
    ],
)
def test_each_message(text: str, fault: str) -> None:
    """One mistake, one line: file, key as it stands in the file, reason."""
    assert faults_of(text) == [f"demo.toml: {fault}"]


def test_an_object_may_stand_alone_in_json() -> None:
    """Where it belongs there is no fault."""
    assert faults_of(changed(REQUEST, REQUEST + '\njson = { q = "${params.p}" }', PARAMS) + OBJECT) == []
