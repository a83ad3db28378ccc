"""What the command line, the console and programs can ask for: one function per command, errors as ``FerryError``."""

from .checking import check
from .explaining import Explained, conformance, describe, describe_table, explain
from .finding import find
from .loading import Loaded, LoadOptions, load, resume
from .opening import plugins, site
from .pinging import echo
from .plans import Planned, plan
from .projects import init, report
from .standing import status, waive
from .trails import audit, verify_files
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
