"""HTML instead of a file is detected by its first bytes; no other file is taken for HTML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewaiter.providers.results.download_replies import blanks_before, is_html

PAGES = [
    b"<!DOCTYPE html>",
    b"<!doctype HTML PUBLIC '-//W3C//DTD XHTML 1.0'>",
    b"<!DocType\thtml>",
    b"<html>",
    b"<HTML lang=en>",
    b"<html\nlang=en>",
    b"<head>",
    b"<script>",
    b"<script src=x>",
    b"<iframe src=x>",
    b"<h1>Sign in</h1>",
    b"<div class=a>",
    b"<font color=red>",
    b"<table>",
    b"<a href=x>",
    b"<style>",
    b"<title>Login</title>",
    b"<b>Warning</b>: Undefined variable",
    b"<body>",
    b"<br />",
    b"<br/>",
    b"<p>",
    b"<meta http-equiv=refresh>",
    b"<!-- portal -->",
    b"<!--[if IE]><html>",
    b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE html PUBLIC "x">',
    b'<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">',
    b'<?xml version="1.0"?><!-- x --><?y z?> <html>',
]
FILES = [
    b"",
    b"id,name\n1,<b>x</b>\n",
    b'{"html": "<html>"}',
    b"[]",
    b"<",
    b"<htmlx>",
    b"<books>",
    b"<pre>",
    b"<abc>",
    b"<page>",
    b"<header>",
    b"<!DOCTYPE svg>",
    b"<!DOCTYPE htmlx>",
    b'<?xml version="1.0"?><feed><title>html</title></feed>',
    b'<?xml version="1.0"?><!-- <html> --><feed>',
    b'<?xml version="1.0"?><!DOCTYPE note [<!ENTITY html "<html>">]><note>',
    b"%PDF-1.7",
    b"PK\x03\x04<html>",
    b"\x1f\x8b\x08<html>",
    b"&lt;html>",
]
LEADING = [b"", b" ", b"\r\n\t\n", b"\xef\xbb\xbf", b"\xef\xbb\xbf \n", b"\n\xef\xbb\xbf", b"\n" * 5000]
TYPES = [None, "text/csv", "application/json; charset=utf-8", "application/octet-stream", "text/plain"]


@pytest.mark.parametrize("declared", [None, "text/html", "text/csv"])
@pytest.mark.parametrize("expected", TYPES)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_however_it_begins(page: bytes, expected: str | None, declared: str | None) -> None:
    """Whatever is declared, and whatever blanks and byte order marks come first; in UTF-16 too."""
    assert all(is_html(blanks + page, expected, declared) for blanks in LEADING)
    text = page.decode()
    assert all(is_html(text.encode(coding), expected, declared) for coding in ("utf-16", "utf-16-le", "utf-16-be"))


@pytest.mark.parametrize("declared", [None, "text/html", "TEXT/HTML; charset=utf-8"])
@pytest.mark.parametrize("expected", TYPES)
@pytest.mark.parametrize("file", FILES)
def test_a_file_declared_as_html(file: bytes, expected: str | None, declared: str | None) -> None:
    """What is declared proves nothing: PHP declares text/html by default."""
    assert not any(is_html(blanks + file, expected, declared) for blanks in LEADING)


@pytest.mark.parametrize("expected", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
def test_html_that_is_expected(expected: str) -> None:
    """A file that the spec calls HTML is left alone."""
    assert not any(is_html(page, expected, "text/html") for page in PAGES)


@pytest.mark.parametrize(
    ("expected", "declared"),
    [
        ("text/xml", None),
        ("application/xml; charset=utf-8", "text/html"),
        ("application/atom+xml", None),
        ("image/svg+xml", "text/html"),
        (None, "application/xml"),
        ("application/octet-stream", "text/xml"),
    ],
)
def test_only_a_doctype_or_a_root_counts_for_xml(expected: str | None, declared: str | None) -> None:
    """Any element may be the root of XML, and a comment may come first."""
    for page in (
        b"<!DOCTYPE html>",
        b"<html>",
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- a --><!-- b --><HTML lang=en>',
        b"<!-- portal --><!doctype html>",
        b'<!DOCTYPE x:html SYSTEM "y"><x:html xmlns:x="http://www.w3.org/1999/xhtml">',
        b'<!DOCTYPE z [<!ENTITY a "b">]><html>',
    ):
        assert is_html(page, expected, declared), page
    for file in (
        b"<title>",
        b"<table>",
        b"<a>",
        b"<p>",
        b"<!-- made by x --><books><html/></books>",
        b'<?xml version="1.0"?><head>',
        b"<!DOCTYPE note><note>",
        b"<!-- that does not end <html>",
        b"<?xml that does not end <html>",
        b"<htmlish>",
    ):
        assert not is_html(file, expected, declared), file


@given(head=st.binary(), expected=st.one_of(st.none(), st.text()), declared=st.one_of(st.none(), st.text()))
def test_it_is_total(head: bytes, expected: str | None, declared: str | None) -> None:
    """No bytes and no type raise."""
    is_html(head, expected, declared)
    assert 0 <= blanks_before(head) <= len(head)
