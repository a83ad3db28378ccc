"""Rules of a profile: where they hold (keyword, tag, path, creator, condition) and what they do; only parsed.

What makes no sense (an unknown keyword, a shift of a number, a person's name that is kept) is refused with the reason.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

from . import reference

#: Actions as profiles write them, and the letters that the rules use.
ACTIONS = {
    "keep": "K", "remove": "X", "empty": "Z", "dummy": "D", "uid": "U", "shift": "S", "pseudonym": "P", "set": "V",
}  # fmt: skip
_TEXT = frozenset({"AE", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "PN"})
#: VRs that an action can be done to; the others to any.
_FIT: Mapping[str, frozenset[str]] = {
    "uid": frozenset({"UI"}),
    "shift": frozenset({"DA", "DT", "TM"}),
    "pseudonym": frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"}),
    "set": _TEXT | {"AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"},
}
#: What identifies the object or says how its pixels are to be read: an object cannot do without.
ESSENTIAL = frozenset(
    {
        *(0x00080005, 0x00080016, 0x00080018, 0x0020000D, 0x0020000E, 0x00280002, 0x00280004, 0x00280006, 0x00280008),
        *(0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x7FE00008, 0x7FE00009, 0x7FE00010),
    }
)
#: Written by us at the top level, whatever rules say (rules.WRITTEN, without StudyID).
OURS = frozenset({0x00100010, 0x00100020, 0x00120062, 0x00120063, 0x00120064, 0x00280303})
_HEX = "[0-9A-Fa-f]"
_TAG = re.compile(rf"\(({_HEX}{{2}}(?:{_HEX}|x){{2}}),((?:{_HEX}|x){{4}})\)")
_PRIVATE = re.compile(rf'"([^"\\]{{1,64}})"\(({_HEX}{{3}}[13579BDFbdf]),xx({_HEX}{{2}})\)')
_LONGEST = {"AE": 16, "AS": 4, "CS": 16, "DA": 8, "DS": 16, "DT": 26, "IS": 12, "LO": 64, "SH": 16, "TM": 14, "UI": 64}
_SHAPE = {
    "AS": r"\d{3}[DWMY]", "CS": r"[A-Z0-9 _]*", "DA": r"\d{8}", "DS": r"[0-9+\-.eE]+", "IS": r"[+-]?\d+",
    "TM": r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", "DT": r"\d{4}[\d.+\-]*", "UI": r"(0|[1-9]\d*)(\.(0|[1-9]\d*))+",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """One rule: ``action`` on ``tags``, or on element ``number`` of ``creator``'s blocks of ``group``, in ``path``.

    ``path`` are the tags of the sequences that lead to the items from the top level, () for every place. ``when`` are
    tags of the top level and patterns of which one has to match; all have to hold. ``text`` is the element as written.
    """

    text: str
    action: str
    tags: tuple[int, ...] = ()
    creator: str = ""
    group: int = 0
    number: int = 0
    path: tuple[int, ...] = ()
    when: tuple[tuple[int, tuple[str, ...]], ...] = ()
    value: str = ""

    @property
    def plain(self) -> bool:
        """Whether it holds for every object and at every depth, so that it is simply another rule of the element."""
        return not (self.path or self.when or self.creator)

    @property
    def opens(self) -> bool:
        """Whether it wants something of an original value left, so that the sequences on its path have to stay."""
        return bool(self.path) and self.action in {"keep", "shift", "uid"}

    @property
    def vrs(self) -> tuple[str, ...]:
        """The VRs of its elements."""
        return tuple(reference.known()[tag][0] for tag in self.tags)

    @property
    def letter(self) -> str:
        """The action as the rules have it."""
        return ACTIONS[self.action]


def parse(element: str, action: str, when: Mapping[str, str | Sequence[str]], value: str | None = None) -> Override:
    """A rule as a profile writes it. Raises ``ValueError`` with what would be right."""
    if action == "clean":
        raise ValueError("action: 'clean' is not yet supported; write remove, empty or dummy")
    if action not in ACTIONS:
        raise ValueError(f"action: write one of {', '.join(ACTIONS)}")
    if (action == "set") != (value is not None):
        raise ValueError("value: goes with action 'set', and only with it")
    conditions = tuple((_condition(key), _patterns(wanted)) for key, wanted in when.items())
    *sequences, last = _parts(element)
    path = tuple(_sequence(part) for part in sequences)
    if (match := _PRIVATE.fullmatch(last)) is not None:
        return _private(element, action, match, path, conditions)
    tags = _tags(last)
    if not tags and action != "remove":
        raise ValueError(f"element: {last} are curves, which are always removed (PS3.15 E.1-1)")
    for tag in tags:
        _check(tag, action, value, top=not path)
    return Override(text=element, action=action, tags=tags, path=path, when=conditions, value=value or "")


def _parts(element: str) -> list[str]:
    """The steps of a path; a slash between quotes belongs to a creator's name."""
    parts = re.findall(r'(?:"[^"]*"|[^/"])+', element)
    if "/".join(parts) != element:
        raise ValueError('element: write a keyword, (gggg,eeee), Sequence/Element or "CREATOR"(gggg,xxee)')
    return parts


def _private(
    text: str, action: str, match: re.Match[str], path: tuple[int, ...], when: tuple[tuple[int, tuple[str, ...]], ...]
) -> Override:
    if action not in {"keep", "remove", "empty"}:
        raise ValueError(f"action: a private element can be kept, removed or emptied, not {action!r}")
    creator, group, number = match[1].strip(), int(match[2], 16), int(match[3], 16)
    return Override(text=text, action=action, creator=creator, group=group, number=number, path=path, when=when)


@cache
def _keywords() -> Mapping[str, int]:
    return {keyword: tag for tag, (_, keyword, _) in reference.elements().items() if keyword}


def tag_of(word: str) -> int:
    """The tag of a keyword. Raises ``ValueError`` with the nearest keyword that there is."""
    found = _keywords().get(word)
    if found is None:
        near = difflib.get_close_matches(word, _keywords(), n=1, cutoff=0.6)
        raise ValueError(f"no element has the keyword {word!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return found


def _tags(part: str) -> tuple[int, ...]:
    match = _TAG.fullmatch(part)
    if match is None:
        if part.startswith('"'):
            raise ValueError(f'element: {part} is no private element; write "CREATOR"(gggg,xxee) with an odd group')
        if part.startswith("("):
            raise ValueError(f"element: {part!r} is no tag; write (gggg,eeee) in hexadecimal digits, x for any digit")
        return (tag_of(part),)
    group, number = match[1].upper().replace("X", "x"), match[2].upper().replace("X", "x")
    if group[-1] in "13579BDF":
        raise ValueError(f'element: {part} is private; name its creator, as in "CREATOR"({group.upper()},xxee)')
    if group.startswith("50"):
        return ()
    pattern = re.compile((group + number).replace("x", "[0-9A-F]"))
    tags = tuple(tag for tag in reference.known() if pattern.fullmatch(f"{tag:08X}"))
    if not tags:
        raise ValueError(f"element: PS3.6 has no element {part} that images can have")
    return tags


def _sequence(part: str) -> int:
    tags = _tags(part)
    if len(tags) != 1 or reference.known()[tags[0]][0] != "SQ":
        raise ValueError(f"element: {part!r} is no sequence, so nothing stands below it")
    return tags[0]


def _condition(key: str) -> int:
    (tag, *more) = _tags(key)
    if more or reference.known()[tag][0] in {"SQ", "UN", "OB", "OD", "OF", "OL", "OV", "OW", "OX"}:
        raise ValueError(f"when: {key!r} has no value that could be compared")
    return tag


def _patterns(wanted: str | Sequence[str]) -> tuple[str, ...]:
    return (wanted,) if isinstance(wanted, str) else tuple(wanted)


def _check(tag: int, action: str, value: str | None, *, top: bool) -> None:
    """Whether the action makes sense for the element."""
    vr, keyword, _ = reference.known()[tag]
    name = keyword or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    if tag in ESSENTIAL:
        raise ValueError(f"{name}: an object cannot be without it, or with another value; UIDs have 'retain-uids'")
    if top and tag in OURS:
        raise ValueError(f"{name}: pacsferry writes it itself")
    if action == "keep" and vr == "PN":
        raise ValueError(f"{name}: a person's name is never kept; write remove, empty, dummy or pseudonym")
    if (fit := _FIT.get(action)) is not None and vr not in fit:
        raise ValueError(f"{name}: {action!r} makes no sense for VR {vr}; it is for {', '.join(sorted(fit))}")
    if value is not None:
        _check_value(name, vr, value)


def _check_value(name: str, vr: str, value: str) -> None:
    if not value.isascii() or not value.isprintable():
        raise ValueError(f"{name}: value: write printable ASCII, which every character set has")
    for part in value.split("\\"):
        if len(part) > _LONGEST.get(vr, 1024) or (vr in _SHAPE and not re.fullmatch(_SHAPE[vr], part)):
            raise ValueError(f"{name}: value: this is no {vr} (PS3.5 6.2)")


def holds(pattern: str, value: str) -> bool:
    """Whether a value, or one of its values, is of a pattern; * and ? stand for any text."""
    return any(fnmatchcase(each.strip(), pattern) for each in (value, *value.split("\\")))
