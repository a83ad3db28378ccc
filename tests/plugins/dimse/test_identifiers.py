"""What is asked and answered passes as text, whatever it is, in the character set that fits."""

from __future__ import annotations

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pynetdicom.dsutils import decode, encode

from pacsferry.core.errors import ConfigError, TransferError
from pacsferry.core.model import Level, Wanted
from pacsferry.plugins.dimse.association import EXPLICIT, IMPLICIT
from pacsferry.plugins.dimse.driving import as_encoded, quiet
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
    try:
        back = there_and_back({"PatientName": text}, EXPLICIT, charset)
    except ConfigError:
        assert not _can_write(text, charset or "ISO_IR 192")  # noqa: PT017 - it may also not raise
        return
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


@pytest.mark.parametrize("uid", ["*", "1.2.?", "1.2\\1.3", "1.2\0.3", "", "1" * 65])
def test_a_uid_that_would_ask_for_more_than_one_thing_is_never_sent(uid: str) -> None:
    for wanted in (Wanted(study=uid), Wanted(study="1", series="2", instances=(uid,))):
        with pytest.raises(TransferError, match="is no UID"):
            retrieve_keys(wanted)
    assert retrieve_keys(Wanted(study="1", series="2", instances=(uid, "3")))["SOPInstanceUID"] == "3"
    if uid:
        with pytest.raises(TransferError, match="is no UID"):
            retrieve_keys(Wanted(study="1", series=uid))


@pytest.mark.parametrize("level", list(Level))
def test_every_return_key_is_a_keyword(level: Level) -> None:
    assert identifier(level, dict.fromkeys(RETURN_KEYS[level], ""), EXPLICIT)


def _can_write(text: str, charset: str) -> bool:
    from pydicom.charset import python_encoding

    try:
        text.encode(python_encoding[charset])
    except UnicodeError:
        return False
    return True


#: Character set -> a name that it can write (PS3.5 annexes H, I, J, K).
NAMES = [
    ("ISO_IR 100", "Müller^Zoë"),
    ("ISO_IR 101", "Wałęsa^Łukasz"),
    ("ISO_IR 126", "Διονυσίου^Άννα"),
    ("ISO_IR 144", "Люксембург^Роза"),
    ("ISO_IR 192", "Wang^XiaoDong=王^小東"),
    ("GB18030", "Wang^XiaoDong=王^小东"),
    ("GBK", "Wang^XiaoDong=王^小东"),
    ("\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    ("ISO 2022 IR 6\\ISO 2022 IR 87", "Yamada^Tarou=山田^太郎"),
    ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"),
    ("\\ISO 2022 IR 149", "Hong^Gildong=洪^吉洞=홍^길동"),
    ("ISO 2022 IR 100\\ISO 2022 IR 126", "Müller^Άννα"),
]


@pytest.mark.parametrize(("charset", "name"), NAMES)
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_a_name_is_asked_for_in_the_character_set_of_the_archive(charset: str, name: str, syntax: str) -> None:
    back = there_and_back({"PatientName": name}, syntax, charset)
    assert back["PatientName"] == name
    assert back["SpecificCharacterSet"] == charset


def test_japanese_is_written_as_the_standard_shows() -> None:
    sent = identifier(
        Level.STUDY, {"PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう"}, EXPLICIT, "\\ISO 2022 IR 87"
    )
    shown = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    assert sent.get_item("PatientName").value.rstrip() == shown


def test_what_the_archive_cannot_read_is_an_error_and_not_no_match() -> None:
    with pytest.raises(ConfigError, match="PatientName: archive.charset") as caught:
        identifier(Level.STUDY, {"PatientName": "Müller"}, EXPLICIT, "ISO_IR 144")
    assert "Müller" not in str(caught.value)


def _answered(raw: bytes, charset: bytes, override: str | None = None) -> str:
    elements = [_element("PatientName", raw), _element("SpecificCharacterSet", charset)]
    return answer(as_encoded(elements, implicit=False), override)["PatientName"]


def _element(keyword: str, raw: bytes) -> RawDataElement:
    tag = Tag(keyword)
    raw += b" " * (len(raw) % 2)
    return RawDataElement(tag, "PN" if keyword == "PatientName" else "CS", len(raw), raw, 0, False, True)


@pytest.mark.parametrize("said", [b"", b"ISO_IR 6", b"ISO 2022 IR 6"])
def test_an_answer_that_does_not_say_its_character_set_is_read_as_what_it_is(said: bytes) -> None:
    assert _answered("Müller".encode(), said) == "Müller"
    assert _answered("Müller".encode("latin-1"), said) == "Müller"


@pytest.mark.parametrize(
    ("lies", "really", "name"),
    [
        (b"ISO_IR 100", "ISO_IR 192", "Müller"),
        (b"", "ISO_IR 126", "Διονυσίου"),
        (b"ISO_IR 192", "ISO_IR 144", "Люксембург"),
        (b"ISO_IR 100", "GB18030", "王^小东"),
    ],
)
def test_the_profile_overrides_what_an_answer_says_of_itself(lies: bytes, really: str, name: str) -> None:
    from pydicom.charset import python_encoding

    assert _answered(name.encode(python_encoding[really]), lies, really) == name
