"""Values of core as JSON knows them; it changes their form and never their content."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from enum import Enum
from pathlib import PurePath
from typing import Any


def plain(value: Any) -> Any:
    """Dataclasses become objects, enumerations their value, moments ISO 8601."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum | datetime | date | PurePath):
        return _text(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        return [plain(one) for one in value]
    return value


def _text(value: Enum | date | PurePath) -> Any:
    if isinstance(value, Enum):
        return value.value
    return value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else str(value)
