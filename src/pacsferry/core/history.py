"""What an archive's images weigh and how fast they come, as far as this host has seen: for estimates, and no more.

It keeps sums by modality, and nothing of any study. What was not seen yet is taken from a table of usual sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .hoststate import HostState, number

_KB, _MB = 1_000, 1_000_000
#: Usual bytes per instance by modality (PS3.3 C.7.3.1.1.1), rounded; other modalities count as OT.
USUAL: Mapping[str, int] = {
    "CT": 530 * _KB,
    "MR": 350 * _KB,
    "PT": 80 * _KB,
    "NM": 500 * _KB,
    "US": 3 * _MB,
    "XA": 30 * _MB,
    "RF": 12 * _MB,
    "CR": 10 * _MB,
    "DX": 15 * _MB,
    "MG": 30 * _MB,
    "IO": 1 * _MB,
    "PX": 8 * _MB,
    "OP": 6 * _MB,
    "OPT": 20 * _MB,
    "ES": 2 * _MB,
    "XC": 4 * _MB,
    "GM": 4 * _MB,
    "SM": 200 * _MB,
    "IVUS": 60 * _MB,
    "BMD": 1 * _MB,
    "ECG": 100 * _KB,
    "SC": 1 * _MB,
    "SEG": 1 * _MB,
    "REG": 50 * _KB,
    "RTIMAGE": 2 * _MB,
    "RTDOSE": 5 * _MB,
    "RTSTRUCT": 2 * _MB,
    "RTPLAN": 200 * _KB,
    "SR": 30 * _KB,
    "DOC": 500 * _KB,
    "PR": 20 * _KB,
    "KO": 10 * _KB,
    "OT": 1 * _MB,
}
#: Bytes per second over one association, where none was measured yet.
USUAL_RATE = 10 * _MB
#: So many images, or so many seconds, are remembered; older ones fade.
_IMAGES, _SECONDS = 20_000, 600.0


class History:
    """The history of one archive, shared by everybody on the host."""

    def __init__(self, path: Path) -> None:
        self._state = HostState(path, this_boot=False)

    def add(self, modality: str, images: int, size: int) -> None:
        """So many images came, of so many bytes together."""
        if images <= 0 or size <= 0:
            return
        with self._state.changing() as kept:
            _sum(kept, _known(modality), images, size, _IMAGES)

    def moved(self, size: int, seconds: float) -> None:
        """So many bytes came within so many seconds."""
        if size > 0 and seconds > 0:
            with self._state.changing() as kept:
                _sum(kept, "_moved", seconds, size, _SECONDS)

    def bytes_per_image(self) -> Sizes:
        """What is known now."""
        kept = self._state.look()
        rates = {name: _mean(kept.get(name)) for name in (*USUAL, "_moved")}
        rate = rates.pop("_moved")
        return Sizes({name: mean for name, mean in rates.items() if mean}, rate)


class Sizes:
    """Bytes per image by modality, and bytes per second of one association; ``measured`` where they were seen here."""

    def __init__(self, measured: Mapping[str, float], rate: float | None) -> None:
        self.measured, self.rate = measured, rate or float(USUAL_RATE)

    def of(self, modality: str) -> float:
        """Bytes of one image."""
        name = _known(modality)
        return self.measured.get(name, float(USUAL[name]))

    def seen(self, modality: str) -> bool:
        """Whether that was measured."""
        return _known(modality) in self.measured


def _known(modality: str) -> str:
    name = modality.strip().upper()
    return name if name in USUAL else "OT"


def _sum(kept: dict[str, Any], name: str, count: float, size: float, most: float) -> None:
    before = kept.get(name)
    pair = {"count": 0.0, "size": 0.0} if not isinstance(before, dict) else before
    counts, sizes = number(pair, "count") + count, number(pair, "size") + size
    fade = min(1.0, most / counts) if counts > 0 else 0.0
    kept[name] = {"count": counts * fade, "size": sizes * fade}


def _mean(pair: object) -> float | None:
    if not isinstance(pair, dict):
        return None
    count, size = number(pair, "count"), number(pair, "size")
    return size / count if count > 0 and size > 0 and math.isfinite(size / count) else None
