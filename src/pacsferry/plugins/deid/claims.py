"""What may be said of a de-identified object: codes of CID 7050, the method in words, and what became of its dates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from . import options as o
from . import reference
from .policy import Policy

if TYPE_CHECKING:
    from .rules import Rule

#: What DeidentificationMethod says where the profile has rules of its own.
OWN_RULES = "rules of the site profile"

#: CID 7050, the codes of the profile and its options (PS3.16).
CID_7050 = {
    "113100": "Basic Application Confidentiality Profile",
    "113101": "Clean Pixel Data Option",
    "113102": "Clean Recognizable Visual Features Option",
    "113103": "Clean Graphics Option",
    "113104": "Clean Structured Content Option",
    "113105": "Clean Descriptors Option",
    "113106": "Retain Longitudinal Temporal Information Full Dates Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
    "113108": "Retain Patient Characteristics Option",
    "113109": "Retain Device Identity Option",
    "113110": "Retain UIDs Option",
    "113111": "Retain Safe Private Option",
    "113112": "Retain Institution Identity Option",
}


def claims(wanted: Policy, broken: frozenset[str], *, own: bool) -> tuple[tuple[str, ...], str]:
    """Codes in order, and DeidentificationMethod: values of at most 64 characters (LO)."""
    claimed = [name for name in (o.BASIC, *wanted.options) if name not in broken]
    codes = tuple(sorted(o.CODES[name] for name in claimed))
    said = [f"PS3.15 {reference.EDITION} Basic Profile{', with exceptions' if o.BASIC in broken else ''}, pacsferry"]
    said += [f"option {name}{', with exceptions' if name in broken else ''}" for name in wanted.options]
    said += [OWN_RULES] if own else []
    return codes, "\\".join(said)


def temporal(rules: Iterable[Rule], wanted: Policy) -> str:
    """(0028,0303): what is the most that is left of any date, but for those of devices, which are not the patient's.

    Without an option for dates it says REMOVED (PS3.15 E.2), unless the profile's own rules depart from that.
    """
    ours = {"", o.FULL_DATES, o.MODIFIED_DATES}
    found = {rule.action for rule in rules if rule.vr in {"DA", "DT"} and rule.option in ours}
    found |= {one.letter for one in wanted.overrides if set(one.vrs) & {"DA", "DT"}}
    return "MODIFIED" if "S" in found else "UNMODIFIED" if "K" in found else "REMOVED"
