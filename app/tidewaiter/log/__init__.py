"""Log lines: catalogued events on stdout as JSON or for a terminal, redacted; repeated lines are folded."""

from tidewaiter.log import structlog_import  # before the others, and for its effect
from tidewaiter.log.event_log import EventLog, Observer, UncataloguedError, configure
from tidewaiter.log.redactor import REDACTED, Redactor

__all__ = ["REDACTED", "EventLog", "Observer", "Redactor", "UncataloguedError", "configure", "structlog_import"]
