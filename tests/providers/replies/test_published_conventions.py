"""Published conventions: what their documentation leaves open, and protection from slips."""

import json

import pytest

from tests.support.spec_samples import NOW, built_in, job_with, reply_of
from tidewaiter.domain.http_values import Json, WireReply
from tidewaiter.domain.outcome import (
    Accepted,
    Empty,
    FailedForNow,
    Gone,
    Inline,
    NotYet,
    Pending,
    Ready,
    Refused,
    Retry,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
)
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import ParameterError

GEO = "https://geo.example.com/ogcapi"
AZURE = "https://management.example.com"
LIBRARY = "https://library.example.com/v1/publishers/lacroix"


def _ogc(**settings: Json) -> BoundOperation:
    return built_in("ogc-processes", {"server": f"{GEO}/", **settings}, "execute")


def _azure(form: str = "operation") -> BoundOperation:
    settings: dict[str, Json] = {
        "endpoint": f"{AZURE}/subscriptions/42", "api_version": "2024-01-01", "form": form,
        "tenant": "t", "client_id": "c", "client_secret": "s-canary",
    }  # fmt: skip
    return built_in("azure-async", settings, "action")


def _library() -> BoundOperation:
    return built_in("google-aip-151", {"parent": LIBRARY, "token": "t-canary"}, "export")


def _made(operation: BoundOperation, **raw: Json) -> dict[str, Json]:
    return operation.check_params(raw)


# --- OGC API Processes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "handle"),
    [
        (reply_of(201, {"jobID": "j-1", "status": "accepted"}), "j-1"),
        (reply_of(201, {"id": "j-2", "status": "accepted"}, location=f"{GEO}/jobs/j-2"), "j-2"),
        (reply_of(201, b"", location=f"{GEO}/jobs/j-3"), "j-3"),
        (reply_of(201, b"", location="../../jobs/j-4/?f=json"), "j-4"),
        (reply_of(201, {"jobID": 5}), "5"),
    ],
)
def test_ogc_names_of_jobs(reply: WireReply, handle: str) -> None:
    """The first version of the standard says jobID, the second id, and both name the job in a header."""
    operation = _ogc()
    assert operation.read_submit(job_with(None, _made(operation, process="p")), reply, NOW) == Accepted(handle)
    assert operation.poll(job_with(handle, {"process": "p"})).url == f"{GEO}/jobs/{handle}"


def test_ogc_a_job_without_a_name_is_not_executed_again() -> None:
    """Nobody knows what a process does: a doubt is left to a person."""
    operation = _ogc()
    reply = reply_of(201, {"status": "accepted"})
    assert isinstance(operation.read_submit(job_with(None, _made(operation, process="p")), reply, NOW), Unknown)
    assert not operation.policy.repeatable


def test_ogc_results_at_once() -> None:
    """The results of a synchronous execution may hold anything, also what looks like the name of a job."""
    operation = _ogc()
    job = job_with(None, _made(operation, process="buffer"))
    outcome = operation.read_submit(job, reply_of(200, {"type": "Feature", "id": "feature-7"}), NOW)
    assert outcome == Inline("buffer.json", "application/json", None, None)


def test_ogc_inputs_are_sent_as_they_are() -> None:
    """Any JSON may be an input; what is no object is refused before anything is sent."""
    operation = _ogc()
    inputs: Json = {"bbox": {"bbox": [5, 52, 6, 53]}, "features": [{"href": "https://example.com/f.json"}], "N": " x "}
    params = _made(operation, process="p", inputs=inputs)
    assert params["inputs"] == inputs
    assert _made(operation, process="p", inputs='{"distance": 5}')["inputs"] == {"distance": 5}
    for wrong in ("five", "[1]", 5):
        with pytest.raises(ParameterError):
            _made(operation, process="p", inputs=wrong)


def test_ogc_results_that_lag_and_results_that_failed() -> None:
    """A 404 is believed to be lag only where it says so; another error of the results is what it is."""
    operation, job = _ogc(), job_with("j-1", {"process": "p"})
    (link,) = operation.links(job)
    late = reply_of(404, {"type": "http://www.opengis.net/def/exceptions/ogcapi-processes-1/1.0/result-not-ready"})
    assert isinstance(operation.read_file(job, link, late, NOW), NotYet)
    failed = reply_of(400, {"type": "InvalidParameterValue", "detail": "no geometry"})
    assert operation.read_file(job, link, failed, NOW) == Refused("HTTP 400: no geometry")


# --- Azure ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (reply_of(200, {"status": " succeeded "}), Inline("export", "application/json", "succeeded", None)),
        (reply_of(200, {"status": "Deploying"}, retry_after="7"), Pending(None, None, 7.0, exact=True)),
        (reply_of(202, {"status": "Running", "percentComplete": 12.5}), Pending("Running", "12.5")),
        (reply_of(503, b"", retry_after="9"), Throttled("HTTP 503", 9.0)),
        (reply_of(404, {"error": {"message": "no such operation"}}), Gone("HTTP 404: no such operation")),
        (reply_of(200, b"<html>"), Retry("HTTP 200, and a body that is not JSON: <html>")),
    ],
)
def test_azure_operations(reply: WireReply, outcome: object) -> None:
    """Three words end an operation, in any spelling; all others are a provider's way to say: not yet."""
    operation = _azure()
    job = job_with(f"{AZURE}/operations/22", _made(operation, action="export"))
    assert operation.read_poll(job, reply, NOW) == outcome


def test_azure_an_operation_is_not_taken_for_its_location() -> None:
    """Where only Location is told, the form is another one, and the doubt is not hidden by polling the wrong way."""
    reply = reply_of(202, b"", location="/operationresults/22")
    operation = _azure()
    assert isinstance(operation.read_submit(job_with(None, _made(operation, action="export")), reply, NOW), Unknown)
    operation = _azure("location")
    outcome = operation.read_submit(job_with(None, _made(operation, action="export")), reply, NOW)
    assert outcome == Accepted(f"{AZURE}/operationresults/22")


def test_azure_locations_of_four_kilobytes() -> None:
    """The documentation asks clients for that much."""
    address = f"{AZURE}/operationresults/{'a' * 4000}"
    operation = _azure("location")
    reply = reply_of(202, b"", location=address)
    outcome = operation.read_submit(job_with(None, _made(operation, action="export")), reply, NOW)
    assert outcome == Accepted(address)


# --- AIP-151 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["operations/7", "publishers/lacroix/operations/7", "projects/p/locations/l/operations/a-b.c"]
)
def test_aip_151_names_are_paths_below_the_version(name: str) -> None:
    """However deep a name is, it is asked for at the API's own origin; cancelling appends a verb."""
    operation = _library()
    url = f"{LIBRARY}/books:export"
    reply = reply_of(200, {"name": name}, url)
    outcome = operation.read_submit(job_with(None, _made(operation, collection="books")), reply, NOW)
    assert outcome == Accepted(f"https://library.example.com/v1/{name}")
    cancel = operation.cancel(job_with(outcome.handle))
    assert cancel is not None
    assert (cancel.method, cancel.url, cancel.body) == ("POST", f"https://library.example.com/v1/{name}:cancel", b"{}")


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        ({"name": "operations/7", "done": False}, Pending()),
        ({"name": "operations/7", "done": True, "response": {}}, Inline("books", "application/json", None, None)),
        ({"name": "operations/7", "done": True}, Inline("books", "application/json", None, None)),
        ({"name": "operations/7", "metadata": {"progressPercent": 0}}, Pending(None, "0")),
    ],
)
def test_aip_151_what_is_done(body: Json, outcome: object) -> None:
    """Only `done` tells; a method that returns nothing is done without a response."""
    operation = _library()
    job = job_with(f"{LIBRARY}/operations/7", _made(operation, collection="books"))
    assert operation.read_poll(job, reply_of(200, body), NOW) == outcome


def test_aip_151_a_reply_of_another_kind_is_nobodys_success() -> None:
    """Neither done nor a name: the reply is shown to people."""
    operation = _library()
    job = job_with(f"{LIBRARY}/operations/7", _made(operation, collection="books"))
    assert not isinstance(operation.read_poll(job, reply_of(200, {"status": "ok"}), NOW), Pending | Ready | Inline)


# --- Salesforce -------------------------------------------------------------------------------------------------------


def _salesforce() -> BoundOperation:
    settings = {"domain": "https://example.my.salesforce.com", "client_id": "c", "client_secret": "s-canary"}
    return built_in("salesforce-bulk2", settings, "query")


def _error(code: str) -> Json:
    return [{"errorCode": code, "message": code.lower()}]


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            reply_of(403, _error("REQUEST_LIMIT_EXCEEDED")),
            Throttled("the provider says HTTP 403: request_limit_exceeded"),
        ),
        (reply_of(403, _error("API_DISABLED_FOR_ORG")), Unauthorized("HTTP 403: api_disabled_for_org")),
        (reply_of(401, _error("INVALID_SESSION_ID")), Unauthorized("HTTP 401: invalid_session_id")),
        (reply_of(404, _error("NOT_FOUND")), Gone("HTTP 404: not_found")),
        (reply_of(409, _error("INVALID_VERSION")), Refused("HTTP 409: invalid_version")),
        (reply_of(200, {"state": "Open"}), Unmapped('HTTP 200, status \'Open\': {"state": "Open"}')),
    ],
)
def test_salesforce_polls(reply: WireReply, outcome: object) -> None:
    """One kind of 403 is a limit, which ends by itself; the other one needs a person."""
    operation = _salesforce()
    assert (
        operation.read_poll(job_with("750R", _made(operation, query="SELECT Id FROM Account")), reply, NOW) == outcome
    )


def test_salesforce_queries_are_sent_as_they_are() -> None:
    """SOQL goes into JSON, quotes and all; deleted records are asked for in another mode."""
    operation = _salesforce()
    params = _made(operation, query="SELECT Id FROM Account WHERE Name = 'O\\'Neill'", mode="QUERYALL")
    body = operation.submit(job_with(None, params)).body
    assert body is not None
    assert json.loads(body)["query"] == "SELECT Id FROM Account WHERE Name = 'O\\'Neill'"
    assert json.loads(body)["operation"] == "queryAll"
    assert not operation.policy.repeatable


# --- SP-API -----------------------------------------------------------------------------------------------------------

SELLER = "https://sellingpartnerapi-eu.amazon.com"


def _seller() -> BoundOperation:
    settings = {"endpoint": SELLER, "client_id": "c", "client_secret": "s-canary", "refresh_token": "r-canary"}
    return built_in("amazon-sp-api", settings, "report")


def _told(**more: Json) -> WireReply:
    return reply_of(200, {"reportId": "5", **more}, f"{SELLER}/reports/2021-06-30/reports/5")


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        (
            _told(processingStatus="DONE", reportDocumentId="amzn1.spdoc.1"),
            Pending(None, None, 1.0, f"{SELLER}/reports/2021-06-30/documents/amzn1.spdoc.1", exact=True),
        ),
        (_told(processingStatus="IN_PROGRESS"), Pending("IN_PROGRESS")),
        (_told(processingStatus="CANCELLED", processingStartTime="2026-01-31T10:00:00Z"), Empty()),
        (_told(processingStatus="CANCELLED"), Refused("the provider says CANCELLED")),
        (
            _told(processingStatus="FATAL", reportDocumentId="amzn1.spdoc.2"),
            FailedForNow("the provider says FATAL", 1.0),
        ),
        (reply_of(403, {"errors": [{"code": "Unauthorized", "message": "denied"}]}), Unauthorized("HTTP 403: denied")),
    ],
)
def test_sp_api_reports(reply: WireReply, outcome: object) -> None:
    """DONE leads on to the document; what was cancelled after it had begun had no data; FATAL may pass."""
    operation = _seller()
    params = _made(operation, report_type="GET_X", marketplaces=["A1"])
    job = job_with(f"{SELLER}/reports/2021-06-30/reports/5", params)
    assert operation.read_poll(job, reply, NOW) == outcome


def test_sp_api_done_without_a_document_is_shown_to_people() -> None:
    """No documentation speaks of it."""
    operation = _seller()
    job = job_with(f"{SELLER}/reports/2021-06-30/reports/5", _made(operation, report_type="GET_X", marketplaces=["A1"]))
    assert isinstance(operation.read_poll(job, _told(processingStatus="DONE"), NOW), Unmapped)


@pytest.mark.parametrize("marketplaces", [[f"A{number}" for number in range(26)], ["a b"], "A1"])
def test_sp_api_marketplaces(marketplaces: Json) -> None:
    """At most twenty-five, and ids."""
    with pytest.raises(ParameterError):
        _made(_seller(), report_type="GET_X", marketplaces=marketplaces)
