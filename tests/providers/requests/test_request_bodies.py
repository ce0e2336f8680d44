"""The keys of bodies: what is built, and the faults of wrong ones."""

import pytest

from tests.support.spec_samples import REQUEST, changed, faults_of, job_with, operation_of

AT = "demo.toml: operations.report.submit"
PARAM = "[operations.report.params]\nnote = { help = 'a note', required = false }\n[operations.report.submit]"
WITH_PARAM = changed("[operations.report.submit]", PARAM)


def test_a_body_without_files_is_built_at_once() -> None:
    """Nothing has to be read, and the same intent makes the same bytes."""
    spec = changed(REQUEST, f'{REQUEST}\nmultipart = {{ fields = {{ a = "1", n = "${{params.note}}" }} }}', WITH_PARAM)
    operation = operation_of(spec)
    request = operation.submit(job_with(None))
    assert request.body is not None
    assert request.headers["Content-Type"].startswith("multipart/form-data; boundary=tidewaiter-")
    assert b'name="n"' not in request.body
    assert operation.submit(job_with(None)) == request
    assert operation.submit(job_with(None, intent="key-2")) != request


def test_a_file_waits_to_be_read() -> None:
    """The parts say where it is."""
    spec = changed(REQUEST, f'{REQUEST}\nmultipart = {{ files = {{ name = "f", from_file = "x" }} }}')
    request = operation_of(spec).submit(job_with(None))
    assert request.body is None
    assert request.multipart is not None
    assert [source.name for source in request.multipart.sources] == ["x"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ('text = "a"\njson = {}', ": a request has one of json, form, text and multipart"),
        ('multipart = {}', ".multipart: needs fields or files"),
        (
            'multipart = { files = { name = "f" } }',
            ".multipart.files: needs exactly one of text, from_file and from_job",
        ),
        (
            'multipart = { files = [{ name = "f", text = "a", from_job = "1" }] }',
            ".multipart.files[0]: needs exactly one of text, from_file and from_job",
        ),
        ('method = "GET"\ntext = "a"', ": a GET request has no body"),
        (
            'multipart = { fields = { a = "1" } }\nheaders = { Content-Type = "x" }',
            ": headers may not have Content-Type, which multipart sets with its boundary: remove it",
        ),
        ('text = "${params.note}"', ".text: refers to ${params.note}, which may be missing; here it must not be"),
        (
            'multipart = { fields = { a = "${params.nothing}" } }',
            ".multipart.fields.a: refers to ${params.nothing}, but there is no such parameter (there are: note)",
        ),
        (
            'multipart = { files = { name = "f", from_file = "${handle}" } }',
            ".multipart.files.from_file: refers to ${handle}, but here there is none, because no submit has named one",
        ),
    ],
)  # fmt: skip
def test_faults_name_the_key(body: str, fault: str) -> None:
    """Contradictions, and references to nothing."""
    assert faults_of(changed(REQUEST, f"{REQUEST}\n{body}", WITH_PARAM)) == [f"{AT}{fault}"]


def test_a_callback_may_stand_in_a_field_and_in_no_text() -> None:
    """A field is left out where callbacks are off; a text cannot be."""
    callback = "[operations.report.callback]\nfirst_delay_s = 60\n[operations.report.submit]"
    base = changed("[operations.report.submit]", callback)
    field = changed(REQUEST, f'{REQUEST}\nmultipart = {{ fields = {{ to = "${{callback_url}}" }} }}', base)
    assert operation_of(field).calls_back(job_with(None))
    text = changed(REQUEST, f'{REQUEST}\ntext = "${{callback_url}}"', base)
    assert f"{AT}.text: refers to ${{callback_url}}, which is missing without callbacks; here it must not be" in (
        faults_of(text)
    )
