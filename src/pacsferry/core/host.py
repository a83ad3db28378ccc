"""Where this host keeps what belongs to no project: leases, audit trail, index of projects; nothing is made here."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path

import platformdirs

#: Set by an administrator, or by tests, to put the host's state elsewhere.
VARIABLE = "PACSFERRY_STATE"
#: Shared by all users of the host where the administrator made it and lets them write.
SHARED = Path("/var/lib/pacsferry")


def state_folder() -> Path:
    """The folder of archives' leases and of ``audit.db``: ``PACSFERRY_STATE``, the host's shared one, or the user's.

    It need not exist yet; whoever writes into it makes it (0700).
    """
    if SHARED.is_dir() and os.access(SHARED, os.W_OK | os.X_OK) and not os.environ.get(VARIABLE):
        return SHARED
    return user_state_folder()


def user_state_folder() -> Path:
    """The same, but never the shared one: what only this user may see."""
    chosen = os.environ.get(VARIABLE)
    return (
        Path(chosen).expanduser().absolute() if chosen else platformdirs.user_state_path("pacsferry", appauthor=False)
    )


def is_loopback(host: str) -> bool:
    """Whether ``host``, a name or an address, is this machine and its traffic never leaves it. Asks no name service."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
