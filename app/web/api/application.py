"""The whole HTTP API: every room's routes, and the document that describes them."""

from app.web.api.batch import Batch
from app.web.api.jobs import Jobs
from app.web.api.listing import Listing
from app.web.api.office import Office
from app.web.api.openapi import Document
from app.web.api.routes import Route


def api_routes(office: Office) -> list[Route]:
    """Every route of the API; the more special path comes first, as ``/v1/jobs/batch`` before ``/v1/jobs/{id}``."""
    routes = [*Batch(office).routes(), *Listing(office).routes(), *Jobs(office).routes()]
    return [*routes, Document(routes).route]
