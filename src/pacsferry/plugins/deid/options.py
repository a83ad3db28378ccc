"""The options of PS3.15 E.3: their columns in table E.1-1, which exclude each other, and what each may claim."""

from __future__ import annotations

from collections.abc import Collection, Mapping

FULL_DATES, MODIFIED_DATES = "retain-longitudinal-full-dates", "retain-longitudinal-modified-dates"
UIDS, DEVICE, PRIVATE, GRAPHICS = "retain-uids", "retain-device-identity", "retain-safe-private", "clean-graphics"
BASIC = "basic"

#: Option, as profiles name it, to its column in tables/listed.tsv and its code in CID 7050 (PS3.16).
OPTIONS: Mapping[str, tuple[str, str]] = {
    PRIVATE: ("safe-private", "113111"),
    UIDS: ("uids", "113110"),
    DEVICE: ("device-identity", "113109"),
    "retain-institution-identity": ("institution-identity", "113112"),
    "retain-patient-characteristics": ("patient-characteristics", "113108"),
    FULL_DATES: ("full-dates", "113106"),
    MODIFIED_DATES: ("modified-dates", "113107"),
    "clean-descriptors": ("descriptors", "113105"),
    "clean-structured-content": ("structured-content", "113104"),
    GRAPHICS: ("graphics", "113103"),
    "clean-pixel-data": ("", "113101"),
    "clean-recognizable-visual-features": ("", "113102"),
}
CODES: Mapping[str, str] = {BASIC: "113100", **{name: code for name, (_, code) in OPTIONS.items()}}
#: Agreed and not built: each needs understanding of text or pixels.
LATER = frozenset(
    {"clean-descriptors", "clean-structured-content", "clean-pixel-data", "clean-recognizable-visual-features"}
)
#: Pairs that cannot both be, and why.
EXCLUSIVE = {
    (FULL_DATES, MODIFIED_DATES): "one keeps every date, the other moves it (PS3.15 E.3.6); choose one",
    (UIDS, MODIFIED_DATES): (
        "many devices write the date into their UIDs, which would tell how far the dates were moved; choose one"
    ),
}
#: Where two options disagree and both may be chosen, the first wins, and the second is not claimed.
YIELDS = ((MODIFIED_DATES, DEVICE),)
#: What the options' letters do where we can do it; a C that nothing here cleans leaves the Basic profile's action.
_CLEANED = {MODIFIED_DATES: "S", GRAPHICS: "K"}


def exclusive(chosen: Collection[str]) -> tuple[str, str, str] | None:
    """The first pair of chosen options that exclude each other, and why."""
    return next(((*pair, why) for pair, why in EXCLUSIVE.items() if set(pair) <= set(chosen)), None)


def decide(cells: Mapping[str, str], chosen: Collection[str]) -> tuple[str, str] | None:
    """Action and option for one row of E.1-1 with ``cells`` (column to letter); None where no chosen option has one.

    Modified dates stand over all others, as a date that stays beside moved ones would tell the shift.
    """
    order = sorted((option for option in OPTIONS if option in chosen), key=lambda option: option != MODIFIED_DATES)
    for option in order:
        letter = cells.get(OPTIONS[option][0], "")
        action = _CLEANED.get(option) if letter == "C" else letter
        if action:
            return action, option
    return None


def yielded(chosen: Collection[str]) -> frozenset[str]:
    """Chosen options that another one breaks, by ``YIELDS``."""
    return frozenset(loser for winner, loser in YIELDS if winner in chosen and loser in chosen)
