"""What the command line, the console and programs can ask for: one function per command, errors as ``FerryError``.

A module is imported with the first use of what it gives: a command starts with what it needs, and nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

_GIVES = {
    "checking": ("check",),
    "explaining": ("Explained", "conformance", "describe", "describe_table", "explain"),
    "finding": ("find",),
    "loading": ("LoadOptions", "Loaded", "load", "resume"),
    "opening": ("plugins", "site"),
    "pinging": ("echo",),
    "plans": ("Planned", "plan"),
    "projects": ("init", "report"),
    "standing": ("status", "waive"),
    "trails": ("audit", "verify_files"),
    "wiring": ("Wiring", "wire"),
}
_MODULES = {name: module for module, names in _GIVES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = found
    return found
