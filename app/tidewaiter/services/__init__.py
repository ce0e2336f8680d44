"""The services: every request of a person or a program is checked here before anything is stored."""

from tidewaiter.services.account_service import AccountService, AccountStatus
from tidewaiter.services.actors import DAEMON, Actor, Channel
from tidewaiter.services.audit import audit_fields
from tidewaiter.services.backfill_service import BackfillPreview, BackfillRequest, BackfillService
from tidewaiter.services.job_requests import (
    ConflictError,
    JobRequest,
    JobRequestFault,
    NotFoundError,
    RefusedError,
    RequestError,
)
from tidewaiter.services.job_service import JobService
from tidewaiter.services.schedule_service import ScheduleService, ScheduleStatus

__all__ = [
    "DAEMON",
    "AccountService",
    "AccountStatus",
    "Actor",
    "BackfillPreview",
    "BackfillRequest",
    "BackfillService",
    "Channel",
    "ConflictError",
    "JobRequest",
    "JobRequestFault",
    "JobService",
    "NotFoundError",
    "RefusedError",
    "RequestError",
    "ScheduleService",
    "ScheduleStatus",
    "audit_fields",
]
