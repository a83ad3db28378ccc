"""Read the shipped tables: facts of the standard and reviewed lists; decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files

#: The edition of PS3.15 that the tables are of.
EDITION = "2026d"


def _rows(name: str) -> Iterator[list[str]]:
    text = (files(__package__) / "tables" / f"{name}.tsv").read_text(encoding="utf-8")
    for line in text.splitlines():
        if not line.startswith("#"):
            yield line.split("\t")


@cache
def elements() -> Mapping[int, tuple[str, str, int]]:
    """Tag to VR, keyword and greatest number of values (0: any) of every element of an image (PS3.6).

    VR XS is US or SS, OX is OB or OW.
    """
    return {int(tag, 16): (vr, keyword, int(most or 0)) for tag, vr, keyword, most in _rows("elements")}


@cache
def listed() -> Mapping[int, str]:
    """Tag to the Basic profile's action (PS3.15 table E.1-1)."""
    return {int(tag, 16): action for tag, action, _, _ in _rows("listed")}


@cache
def options() -> Mapping[int, Mapping[str, str]]:
    """Tag to column to letter: what the options of PS3.15 do to a listed element (table E.1-1)."""
    rows = ((int(tag, 16), cells) for tag, _, cells, _ in _rows("listed") if cells)
    return {tag: dict(cell.split("=", 1) for cell in cells.split(",")) for tag, cells in rows}


@cache
def private() -> Mapping[tuple[str, int, int], tuple[str, int, str]]:
    """Creator, group and element within the block to VR, most values (0: any) and meaning (PS3.15 table E.3.10-1)."""
    return {
        (key[:-11], int(key[-10:-6], 16), int(key[-3:-1], 16)): (vr, int(most or 0), meaning)
        for key, vr, most, meaning in _rows("private")
    }


@cache
def overlays() -> Mapping[int, tuple[str, str, int, str]]:
    """Tag to VR, keyword, most values and what Clean Graphics does, for each of the 16 overlay groups (PS3.5 7.6)."""
    return {
        (0x6000 + 2 * plane) << 16 | int(number, 16): (vr, keyword, int(most), action)
        for plane in range(16)
        for number, vr, most, action, keyword in _rows("overlays")
    }


@cache
def known() -> Mapping[int, tuple[str, str, int]]:
    """``elements``, and those of overlay planes."""
    return {**elements(), **{tag: row[:3] for tag, row in overlays().items()}}


@cache
def additions() -> Mapping[int, tuple[str, str]]:
    """Tag to action and reason of what E.1-1 should list and does not."""
    return {int(tag, 16): (action, reason) for tag, action, _, reason in _rows("additions")}


@cache
def technical() -> Mapping[int, tuple[str, str]]:
    """Tag to where and why a text element that E.1-1 does not list is kept."""
    return {int(tag, 16): (where, reason) for tag, where, _, reason in _rows("technical")}


@cache
def technical_removed() -> Mapping[int, str]:
    """Tag to what leaves an object valid where technical text goes too; what is not here can be removed."""
    return {int(tag, 16): action for tag, action, _, _ in _rows("technical_removed")}


@cache
def terms() -> Mapping[int, frozenset[bytes]]:
    """Tag to the terms that PS3.3 defines for text that is no code."""
    return {int(tag, 16): frozenset(words.encode("ascii").split()) for tag, words, _ in _rows("terms")}


@cache
def roles() -> Mapping[int, str]:
    """Tag to what the UID names, for UIDs that are no identifiers."""
    return {int(tag, 16): reason for tag, _, reason in _rows("roles")}


@cache
def types() -> Mapping[str, Mapping[int, str]]:
    """SOP class to tag to type ("1", "1C", "2", "2C", "3") of attributes with a compound action (PS3.3)."""
    return {uid: {int(pair[:8], 16): pair[9:] for pair in pairs.split()} for uid, pairs in _rows("types")}


@cache
def pixel_classes() -> frozenset[str]:
    """SOP classes that have pixel data."""
    return frozenset(row[0] for row in _rows("pixels"))


@cache
def schemes() -> frozenset[str]:
    """Designators of published coding schemes."""
    return frozenset(row[0] for row in _rows("schemes"))


@cache
def needles() -> Mapping[int, str]:
    """Tag to keyword of elements whose original values must not survive anywhere."""
    return {int(tag, 16): keyword for tag, keyword in _rows("needles")}


@cache
def method_words() -> frozenset[str]:
    """Words that say how something was de-identified."""
    return frozenset(word for row in _rows("method_words") for word in row[0].split())


@cache
def sentences() -> tuple[tuple[str, str], ...]:
    """When, and what, ``describe`` says; names in braces are filled in from the rules."""
    return tuple((row[0], row[1]) for row in _rows("sentences"))


@cache
def encoders() -> tuple[str, ...]:
    """Comments in compressed frames that name the encoder only; "#" stands for a version number."""
    return tuple(row[0] for row in _rows("encoders"))


@cache
def required() -> Mapping[int, tuple[str, str]]:
    """Tag to action and reason of text that E.1-1 does not list and that some kind of object cannot be without."""
    return {int(tag, 16): (action, reason) for tag, action, _, reason in _rows("required")}


@cache
def understood() -> frozenset[str]:
    """SOP classes whose content has to be understood: these objects go by way of pydicom."""
    return frozenset(row[0] for row in _rows("understood"))
