"""The request is a file with the unique keys, as PS3.4 C.4.3.1.3 wants them; what is no UID is never sent."""

from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Wanted
from pacsferry.plugins.dcmtk.asking import identifier, parts, preferences

UIDS = st.lists(st.from_regex(r"1(\.[1-9][0-9]{0,3}){1,5}", fullmatch=True), max_size=5)


@given(UIDS)
def test_pydicom_reads_what_was_asked_for(instances):
    wanted = Wanted(study="1.2.3", series="1.2.3.4", instances=tuple(instances))
    ds = dcmread(BytesIO(identifier(wanted)))
    assert ds.QueryRetrieveLevel == ("IMAGE" if instances else "SERIES")
    assert (ds.StudyInstanceUID, ds.SeriesInstanceUID) == ("1.2.3", "1.2.3.4")
    if instances:
        named = [ds.SOPInstanceUID] if len(instances) == 1 else list(ds.SOPInstanceUID)
        assert named == list(instances)
    assert [element.tag for element in ds] == sorted(element.tag for element in ds)


def test_a_study_is_asked_for_by_its_uid_alone():
    ds = dcmread(BytesIO(identifier(Wanted(study="1.2.3"))))
    assert [element.keyword for element in ds] == ["QueryRetrieveLevel", "StudyInstanceUID"]


@pytest.mark.parametrize("odd", ["1.2\\1.3", "../evil", "1.2.3 -od /", "", "1" * 65, "ä"])
def test_what_is_no_uid_is_not_sent(odd):
    with pytest.raises(TransferError) as caught:
        identifier(Wanted(study=odd))
    assert caught.value.code == "bad-answer"
    assert not odd or odd not in str(caught.value)


def test_long_lists_go_in_several_requests_that_lose_nothing():
    instances = tuple(f"1.{n}" for n in range(450))
    asked = list(parts(Wanted(study="1", series="1.2", instances=instances, expected=450)))
    assert [one.expected for one in asked] == [200, 200, 50]
    assert sum((one.instances for one in asked), ()) == instances


def test_the_archive_s_own_syntaxes_are_preferred():
    said = frozenset({("1.2", "1.2.840.10008.1.2.4.90"), ("1.2", "1.2.840.10008.1.2.1")})
    assert preferences(said) == ["+xv"]
    assert preferences(frozenset())[0] == "+xr"
