"""Log lines: catalogued events on stdout as JSON or for a terminal, redacted; repeated lines are folded."""

from app.log import lean  # before the others, and for its effect
from app.log.eventlog import EventLog, Observer, UncataloguedError, configure
from app.log.redact import REDACTED, Redactor

__all__ = ["REDACTED", "EventLog", "Observer", "Redactor", "UncataloguedError", "configure", "lean"]
