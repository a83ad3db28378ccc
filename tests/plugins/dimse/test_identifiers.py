"""What is asked and answered passes as text, whatever it is, in the character set that fits."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pynetdicom.dsutils import decode, encode

from pacsferry.core.errors import ConfigError
from pacsferry.core.model import Level, Wanted
from pacsferry.plugins.dimse.association import EXPLICIT, IMPLICIT
from pacsferry.plugins.dimse.driving import quiet
from pacsferry.plugins.dimse.identifiers import RETURN_KEYS, answer, identifier, retrieve_keys


def there_and_back(keys: dict[str, str], syntax: str, charset: str | None = None) -> dict[str, str]:
    implicit = syntax == IMPLICIT
    sent = encode(identifier(Level.STUDY, keys, syntax, charset), implicit, True)
    assert sent is not None
    return answer(decode(io.BytesIO(sent), implicit, True))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_keys_go_out_in_order_and_come_back(syntax: str) -> None:
    keys = {"PatientName": "A^B", "StudyDate": "20240101-", "StudyInstanceUID": "1.2.3", "AccessionNumber": ""}
    assert there_and_back(keys, syntax) == {**keys, "QueryRetrieveLevel": "STUDY"}


@settings(deadline=None, max_examples=60)
@given(
    text=st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\\"), max_size=40),
    charset=st.sampled_from([None, "ISO_IR 100", "ISO_IR 192", "ISO_IR 101", "ISO_IR 144"]),
)
def test_any_text_survives(text: str, charset: str | None) -> None:
    back = there_and_back({"PatientName": text}, EXPLICIT, charset)
    assert back["PatientName"] == text.rstrip(" \0")


@settings(deadline=None, max_examples=60)
@given(
    raw=st.binary(max_size=60),
    charset=st.sampled_from(["", "ISO_IR 100", "ISO 2022 IR 87", "nonsense", "\\ISO 2022 IR 149"]),
)
def test_no_answer_is_too_odd_to_be_read(raw: bytes, charset: str) -> None:
    quiet()
    even = raw + b" " * (len(raw) % 2)
    terms = charset.encode() + b" " * (len(charset) % 2)
    element = b"".join(
        group + len(value).to_bytes(4, "little") + value
        for group, value in ((b"\x08\x00\x05\x00", terms), (b"\x10\x00\x10\x00", even), (b"\x20\x00\x08\x12", even))
    )
    found = answer(decode(io.BytesIO(element), True, True))
    assert isinstance(found.get("PatientName", ""), str)


def test_numbers_are_text_on_the_way_back() -> None:
    dataset = Dataset()
    dataset.Rows, dataset.NumberOfStudyRelatedInstances = 512, "7"
    sent = encode(dataset, True, True)
    assert sent is not None
    assert answer(decode(io.BytesIO(sent), True, True)) == {"Rows": "512", "NumberOfStudyRelatedInstances": "7"}


def test_a_number_that_is_none_is_an_error_without_the_value() -> None:
    with pytest.raises(ConfigError) as caught:
        identifier(Level.STUDY, {"Rows": "many"}, EXPLICIT)
    assert "many" not in str(caught.value)


def test_the_unique_keys_of_each_level() -> None:
    assert retrieve_keys(Wanted(study="1")) == {"StudyInstanceUID": "1"}
    assert retrieve_keys(Wanted(study="1", series="2", instances=("3", "4"))) == {
        "StudyInstanceUID": "1",
        "SeriesInstanceUID": "2",
        "SOPInstanceUID": "3\\4",
    }


@pytest.mark.parametrize("level", list(Level))
def test_every_return_key_is_a_keyword(level: Level) -> None:
    assert identifier(level, dict.fromkeys(RETURN_KEYS[level], ""), EXPLICIT)
