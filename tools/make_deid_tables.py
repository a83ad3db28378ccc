# ruff: noqa: INP001 - a script, no package
"""Make the compact tables of plugins/deid/tables from the reference tables; run by hand for a new edition.

    python tools/make_deid_tables.py FOLDER

FOLDER holds ps315_e1-1_*.json, ps315_e3.10-1_*.json, iod_attribute_types_for_compound_actions.json and
ps36_vr_newer_than_pydicom.json. VRs and keywords come from pydicom's dictionary. The tables that people write
(technical, hazards, roles, schemes) are not touched.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from pydicom.datadict import DicomDictionary
from pydicom.uid import UID_dictionary

OUT = Path(__file__).resolve().parent.parent / "src/pacsferry/plugins/deid/tables"
OPTION_LETTERS = {
    "retain_safe_private": "safe-private",
    "retain_uids": "uids",
    "retain_device_identity": "device-identity",
    "retain_institution_identity": "institution-identity",
    "retain_patient_characteristics": "patient-characteristics",
    "retain_longitudinal_full_dates": "full-dates",
    "retain_longitudinal_modified_dates": "modified-dates",
    "clean_descriptors": "descriptors",
    "clean_structured_content": "structured-content",
    "clean_graphics": "graphics",
}
#: One VR where PS3.6 leaves a choice; XS is settled by PixelRepresentation, OX by the pixel's size (PS3.5 annex A).
CHOICES = {"US or SS": "XS", "OB or OW": "OX", "US or OW": "OW", "US or SS or OW": "OW"}
#: Groups of messages, file meta information and media directories, and delimiters, are no part of an image.
NOT_DATA = {0x0000, 0x0002, 0x0004, 0xFFFA, 0xFFFC, 0xFFFE}
#: Classes with pixels whose name does not say "Image Storage".
MORE_PIXELS = {"RT Dose Storage", "Segmentation Storage", "Parametric Map Storage", "Enhanced US Volume Storage"}


def elements(folder: Path) -> list[str]:
    """Tag, VR, keyword and how many values at most ("" for any number) of every element of PS3.6."""
    found = {tag: (CHOICES.get(row[0], row[0]), row[4], _most(row[1])) for tag, row in DicomDictionary.items()}
    newer = json.loads(next(folder.glob("ps36_vr_*.json")).read_text())
    found |= {int(tag, 16): (vr, "", "") for tag, vr in newer.items() if vr and int(tag, 16) not in found}
    names = {int(tag, 16): name for tag, name, *_ in _plain_rows(folder)}
    rows = []
    for tag, (vr, keyword, most) in sorted(found.items()):
        if tag >> 16 in NOT_DATA or (tag >> 16) & 1 or vr == "NONE":
            continue
        rows.append(f"{tag:08X}\t{vr}\t{keyword or _keyword(names.get(tag, ''))}\t{most}")
    return rows


def _most(multiplicity: str) -> str:
    last = multiplicity.replace(" or ", "-").split("-")[-1]
    return last if last.isdecimal() else ""


def _keyword(name: str) -> str:
    return "".join(word[:1].upper() + word[1:] for word in re.split(r"[^A-Za-z0-9]+", name.replace("'", "")))


def _rows(folder: Path) -> tuple[str, list[dict[str, Any]]]:
    document = json.loads(next(folder.glob("ps315_e1-1_*.json")).read_text())
    return document["edition"], document["rows"]


def _plain_rows(folder: Path) -> list[tuple[str, str, str, str]]:
    out = []
    for row in _rows(folder)[1]:
        tag = str(row["tag"]).strip("()").replace(",", "").replace(" ", "")
        if re.fullmatch("[0-9A-F]{8}", tag):
            out.append((tag, str(row["name"]), str(row["basic_profile"]), _options(row["options"])))
    return out


def _options(options: dict[str, str]) -> str:
    return ",".join(f"{OPTION_LETTERS[name]}={action}" for name, action in sorted(options.items()))


def listed(folder: Path) -> list[str]:
    """Tag, action of the Basic profile and actions of the options, per row of E.1-1 that names one tag."""
    return [f"{tag}\t{action}\t{options}\t{name}" for tag, name, action, options in sorted(_plain_rows(folder))]


def patterns(folder: Path) -> list[str]:
    """The rows of E.1-1 that name many tags; the engine handles each of them by name."""
    plain = {f"({tag[:4]},{tag[4:]})" for tag, *_ in _plain_rows(folder)}
    rows = [row for row in _rows(folder)[1] if row["tag"] not in plain]
    return [f"{row['tag']}\t{row['basic_profile']}\t{_options(row['options'])}\t{row['name']}" for row in rows]


def types(folder: Path) -> list[str]:
    """Per SOP class the strictest type of each attribute that has a compound action."""
    document = json.loads((folder / "iod_attribute_types_for_compound_actions.json").read_text())
    return [
        f"{uid}\t" + " ".join(f"{tag}={kind}" for tag, (kind, _) in sorted(attributes.items()))
        for uid, attributes in sorted(document["by_sop_class"].items())
    ]


def private(folder: Path) -> list[str]:
    """Creator with tag, VR, greatest number of values and meaning, per row of E.3.10-1."""
    rows = json.loads(next(folder.glob("ps315_e3.10-1_*.json")).read_text())["rows"]
    found = {}
    for row in rows:
        group, number = str(row["tag"]).strip("()").upper().replace("XX", "").split(",")
        vr = {"OW/OB": "OW", "": "UN"}.get(row["vr"], row["vr"])
        key = f"{row['private_creator']}({group},xx{number})"
        found[key] = "\t".join((key, vr, _most(row["vm"]), " ".join(row["meaning"].split())))
    return [found[key] for key in sorted(found)]


def pixels() -> list[str]:
    """Classes that have pixel data: without any, an object of these was cut off."""
    return [
        f"{uid}\t{row[0]}"
        for uid, row in sorted(UID_dictionary.items())
        if row[1] == "SOP Class" and ("Image Storage" in row[0] or row[0] in MORE_PIXELS)
    ]


def main() -> None:
    folder = Path(sys.argv[1])
    edition = _rows(folder)[0]
    head = f"# DICOM PS3.15 {edition} and PS3.6, (c) NEMA; made by tools/make_deid_tables.py\n"
    tables = {
        "elements": elements(folder),
        "listed": listed(folder),
        "patterns": patterns(folder),
        "types": types(folder),
        "pixels": pixels(),
        "private": private(folder),
    }
    for name, rows in tables.items():
        (OUT / f"{name}.tsv").write_text(head + "\n".join(rows) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
