"""References that resolve to nothing in the project are counted in the report, and never removed."""

from __future__ import annotations

import json

import pytest
from pydicom import dcmread

from pacsferry.testing.kinds import ct, rtstruct
from support.loading import place

HERE, THERE = "REFHERE", "REFTHERE"


def references(ds):
    """The instances that a data set refers to, at any depth."""
    return {str(one.value) for one in ds.iterall() if one.keyword == "ReferencedSOPInstanceUID"}


@pytest.fixture
def there(tmp_path):
    structures, image = rtstruct(), ct()
    structures.AccessionNumber, image.AccessionNumber = HERE, THERE
    image.StudyInstanceUID = "2.25.7777"
    for one in structures.iterall():
        if one.keyword == "ReferencedSOPInstanceUID" and one.value != structures.StudyInstanceUID:
            one.value = image.SOPInstanceUID
    with place(tmp_path, [structures, image]) as made:
        yield made


def summary(there):
    return json.loads((there.folder / "research" / "p" / "reports" / "summary.json").read_text())


def test_a_reference_out_of_the_project_is_counted_until_its_instance_comes(there):
    there.load(HERE)
    assert summary(there)["unresolved_references"] == 1
    structures = dcmread(there.images()[0])
    (kept,) = references(structures) - {structures.StudyInstanceUID}
    there.load(THERE)
    assert summary(there)["unresolved_references"] == 0
    assert kept in {dcmread(path).SOPInstanceUID for path in there.images()}
