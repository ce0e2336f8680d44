"""The services: every request of a person or a program is checked here before anything is stored."""

from app.desk.actors import DAEMON, Actor, Way, line_of
from app.desk.desk import Desk
from app.desk.drafts import Wish
from app.desk.errors import ConflictError, NotFoundError, RefusedError, RequestError, WishFault
from app.desk.schedules import ScheduleDesk, ScheduleStanding
from app.desk.standing import Standing

__all__ = [
    "DAEMON",
    "Actor",
    "ConflictError",
    "Desk",
    "NotFoundError",
    "RefusedError",
    "RequestError",
    "ScheduleDesk",
    "ScheduleStanding",
    "Standing",
    "Way",
    "Wish",
    "WishFault",
    "line_of",
]
