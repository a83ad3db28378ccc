"""A line of the audit trail as a syslog message (RFC 5424), with JSON inside; pure, and it names nobody.

Everything in an audit line is released already: pseudonymous ids, counts and codes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from pacsferry.core.auditline import AuditLine, thawed

#: RFC 5424 6.2.1 and RFC 5427.
FACILITIES = (
    *("kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp"),
    *("audit", "alert", "clock", *(f"local{number}" for number in range(8))),
)
_WARNING, _INFORMATIONAL = 4, 6
#: Outcomes that nobody need look at; all others are warnings.
_FINE = frozenset({"ok", "skipped", "waived", "dry-run"})
#: Events after which the hash is the head of the trail for a run.
_ENDS = frozenset({"run-started", "run-ended"})
_NO_NAME = re.compile(r"[^!-~]+")


def message(line: AuditLine, *, facility: str, host: str, app: str, process: int) -> bytes:
    """The whole message, without any framing. ASCII, so that no byte order mark is needed (RFC 5424 6.4)."""
    severity = _INFORMATIONAL if line.outcome in _FINE else _WARNING
    priority = FACILITIES.index(facility) * 8 + severity
    head = (line.at, _named(host, 255), _named(app, 48), str(process), _named(line.action, 32), "-")
    return f"<{priority}>1 {' '.join(head)} {json.dumps(body(line))}".encode("ascii")


def body(line: AuditLine) -> Mapping[str, object]:
    """What the message says. ``head`` stands where a run begins and where it ends."""
    said = {
        "project": line.trail or None,
        "seq": line.seq,
        "time": line.at,
        "run": line.run or None,
        "actor": line.actor,
        "action": line.action,
        "object": line.object or None,
        "outcome": line.outcome,
        "details": thawed(line.details),
        "prev": line.prev,
        "hash": line.hash,
    }
    return {**said, "head": line.hash} if line.action in _ENDS else said


def _named(text: str, longest: int) -> str:
    """Printable ASCII without blanks, or the nil value (RFC 5424 6.2.4)."""
    return _NO_NAME.sub("_", text)[:longest] or "-"
