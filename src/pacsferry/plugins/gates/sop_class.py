"""Hold what cannot be made safe by its kind: content beyond the rules, and pixels that could carry text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from pacsferry.core.model import Draft, Seen, Verdict
from pacsferry.core.strict import NoSettings

#: Words of ImageType that say that a screen was captured or a page scanned (PS3.3 C.7.6.1.1.2 and vendors' values).
_CAPTURED = re.compile(
    r"SCREEN|SECONDARY CAPTURE|(?<![A-Z])CAPTURE|(?<![A-Z])SAVE(?![A-Z])|SCANNED|(?<![A-Z])SC(?![A-Z])|DOSE REPORT"
    r"|DOSE INFO|PROT(?![A-Z])|(?<![A-Z])REPORT(?![A-Z])"
)


@cache
def _table() -> Mapping[str, tuple[str, str]]:
    text = (files(__package__) / "sop_classes.tsv").read_text(encoding="utf-8")
    rows = (line.split("\t") for line in text.splitlines() if not line.startswith("#"))
    return {uid: (handling, reason) for uid, handling, reason in rows}


def handling(sop_class: str) -> str:
    """How objects of a class are handled: "plain", "declared", "burned-in", or "content" for all that is not listed."""
    return _table().get(sop_class, ("content", ""))[0]


def reason(sop_class: str) -> str:
    """Why a class is handled as it is."""
    return _table().get(sop_class, ("", "carries findings, graphics, documents or unknown things"))[1]


class SopClass:
    """The gate ``sop-class``."""

    def __init__(self, settings: NoSettings | None = None) -> None:
        """There is nothing to set."""

    def judge(self, draft: Draft) -> Verdict:
        """Allow images whose pixels are not expected to carry text; hold all else."""
        # The class as it goes out and as it came are the same; the one that goes out is what readers act on.
        kind = handling(draft.facts.sop_class)
        if kind == "content":
            return Verdict.hold("sop-class", reason(draft.facts.sop_class))
        if kind == "burned-in":
            return Verdict.hold("burned-in", reason(draft.facts.sop_class))
        said = draft.seen.burned_in_annotation.upper()
        if said not in {"", "NO"}:
            return Verdict.hold("burned-in", "BurnedInAnnotation is not NO")
        if kind == "declared" and said != "NO":
            return Verdict.hold("burned-in", f"BurnedInAnnotation is missing; {reason(draft.facts.sop_class)}")
        if _captured(draft.seen):
            return Verdict.hold("burned-in", "ImageType names a captured screen")
        return Verdict.allow()


def _captured(seen: Seen) -> bool:
    return any(_CAPTURED.search(value.upper().replace("_", " ")) for value in seen.image_type)
