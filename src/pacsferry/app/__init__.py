"""What the command line, the console and programs can ask for: one function per command, errors as ``FerryError``."""

from .explaining import Explained, conformance, describe, describe_table, explain
from .loading import Loaded, LoadOptions, load, resume
from .looking import audit, check, echo, find, status, verify_files, waive
from .opening import plugins, site
from .plans import Planned, plan
from .projects import init, report
from .wiring import Wiring, wire

__all__ = [
    "Explained",
    "LoadOptions",
    "Loaded",
    "Planned",
    "Wiring",
    "audit",
    "check",
    "conformance",
    "describe",
    "describe_table",
    "echo",
    "explain",
    "find",
    "init",
    "load",
    "plan",
    "plugins",
    "report",
    "resume",
    "site",
    "status",
    "verify_files",
    "waive",
    "wire",
]
