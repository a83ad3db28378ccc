"""What the DCMTK transports can be told in a profile; values only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pacsferry.core.strict import Strict


class DcmtkSettings(Strict):
    """Of a ``[[transport]]`` with ``use = "dcmtk-getscu"`` or ``"dcmtk-movescu"``."""

    model: Literal["study", "patient"] = Field(
        default="study", description="information model of the requests (PS3.4 C.6)"
    )
    program: str = Field(default="", description="path of the tool; default: DCMTK's own on the PATH")
    folder: str = Field(
        default="", description="a folder in memory (tmpfs) of this user; default: $XDG_RUNTIME_DIR, else /dev/shm"
    )
