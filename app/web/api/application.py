"""All routes of the API, with the document that describes them."""

from app.web.api.accounts import Accounts
from app.web.api.artifacts import Artifacts
from app.web.api.batch import Batch
from app.web.api.events import Events
from app.web.api.jobs import Jobs
from app.web.api.listing import Listing
from app.web.api.notifications import Notifications
from app.web.api.office import Office
from app.web.api.openapi import Document
from app.web.api.overview import OverviewRoom
from app.web.api.providers import Providers
from app.web.api.routes import Route
from app.web.api.schedules import Schedules


def api_routes(context: Office) -> list[Route]:
    """All routes of the API. The more specific path comes first: ``/v1/jobs/batch`` before ``/v1/jobs/{id}``."""
    groups = (
        Batch(context),
        Listing(context),
        Jobs(context),
        Artifacts(context),
        Accounts(context),
        Schedules(context),
        Providers(context),
        OverviewRoom(context),
        Notifications(context),
        Events(context),
    )
    routes = [route for group in groups for route in group.routes()]
    return [*routes, Document(routes).route]
