"""What the DIMSE plugins can be told in a profile; values only."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pacsferry.core.strict import Strict

Model = Literal["study", "patient"]


class FindSettings(Strict):
    """Of ``[find]`` with ``use = "c-find"``."""

    model: Model = Field(
        default="study",
        description="information model for STUDY, SERIES and IMAGE queries; PATIENT queries use Patient Root anyway",
    )


class GetSettings(Strict):
    """Of a ``[[transport]]`` with ``use = "c-get"``."""

    model: Model = Field(default="study", description="information model of the requests (PS3.4 C.6)")


class MoveSettings(Strict):
    """Of a ``[[transport]]`` with ``use = "c-move"``."""

    model: Model = Field(default="study", description="information model of the requests (PS3.4 C.6)")
