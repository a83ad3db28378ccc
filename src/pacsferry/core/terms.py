"""What a profile allows of an archive, as numbers; it counts nothing."""

from __future__ import annotations

from dataclasses import dataclass

from .hours import Hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a profile allows. Times in seconds; ``hours`` None is always, ``bytes_per_minute`` None any number.

    ``abort`` ends what is under way at the end of the hours; else it is finished. ``back_off`` is the pause after a
    first sign of distress (0: none), ``patience`` how long to wait for an archive that does not get better.
    """

    associations: int = 2
    batch_size: int = 0
    batch_wait: float = 0.0
    bytes_per_minute: int | None = None
    hours: Hours | None = None
    abort: bool = False
    back_off: float = 0.0
    patience: float = 900.0
