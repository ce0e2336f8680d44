"""Each template is compiled once in a test process."""

from jinja2 import Environment


def test_the_same_template_is_compiled_once() -> None:
    """Two listeners of one process have two environments; all that decides about the code is the same in both."""
    text = "{% for one in ones %}\n{{ one }}\n{% endfor %}\n"
    code = Environment(autoescape=True, trim_blocks=True).compile(text, "page.html")
    assert Environment(autoescape=True, trim_blocks=True).compile(text, "page.html") is code


def test_what_decides_about_the_code_is_not_mixed_up() -> None:
    """Another treatment of line ends, another text or another name gives other code."""
    text = "{% if shown %}\n{{ one }}\n{% endif %}"
    trimmed, whole = Environment(autoescape=True, trim_blocks=True), Environment(autoescape=True, trim_blocks=False)
    assert trimmed.from_string(text).render(shown=True, one="a") == "a\n"
    assert whole.from_string(text).render(shown=True, one="a") == "\na\n"
    assert trimmed.compile(text, "page.html") is not trimmed.compile(text, "other.html")
