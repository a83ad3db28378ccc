"""What was learnt of an archive, as a document: without identifiers, strict, and safe to read from anywhere."""

import json

import pytest

from pacsferry.core.behaviour import Behaviour, FindBehaviour, behaviour, parse
from pacsferry.core.errors import ConfigError

WHOLE = {
    "schema": "pacsferry.behaviour",
    "version": 1,
    "status": "ok",
    "dimse": {
        "services": ["c-echo", "c-find", "c-get"],
        "find": {"models": ["study"], "levels": ["STUDY", "SERIES"], "keys": {"PatientName": "ignored"}, "cap": 500},
        "get": {"levels": ["STUDY"], "roles": True},
        "move": {"originator": False},
        "storage": [{"sop_class": "1.2.840.10008.5.1.4.1.1.2", "transfer_syntaxes": ["1.2.840.10008.1.2.1"]}],
    },
    "dicomweb": {"qido": {"page": 100}, "wado": {"any_transfer_syntax": False}},
    "quirks": {"study_root_only": True},
}


def test_a_document_comes_back_as_it_was_written():
    assert behaviour(WHOLE, "x").document() == WHOLE
    assert parse(json.dumps(WHOLE).encode(), "x") == behaviour(WHOLE, "x")


def test_only_what_is_known_is_written():
    assert Behaviour().document() == {"schema": "pacsferry.behaviour", "version": 1, "status": "ok"}
    assert FindBehaviour().cap is None


def test_a_document_that_holds_one_will_do():
    doctor = {"schema": "pacsferry.doctor", "version": 1, "status": "ok", "behaviour": WHOLE, "findings": [1]}
    assert behaviour(doctor, "x") == behaviour(WHOLE, "x")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": "pacsferry.load"}, "is no pacsferry.behaviour document, and holds none"),
        ({"version": 2}, "version: must be 1"),
        ({"ae_title": "MAIN"}, "ae_title: unknown key"),
        ({"dimse": {"host": "a"}}, "dimse.host: unknown key"),
        ({"dimse": {"find": {"cap": 0}}}, "dimse.find.cap: must be greater than or equal to 1"),
        ({"dimse": {"find": {"cap": "many"}}}, "dimse.find.cap: must be a whole number"),
        ({"dimse": {"find": {"keys": {"PatientName": "Miller"}}}}, "dimse.find.keys.PatientName: must be 'matched'"),
        ({"dimse": {"find": {"keys": {"Anna Miller": "matched"}}}}, "write a DICOM keyword"),
        ({"dimse": {"storage": [{"sop_class": "../x", "transfer_syntaxes": []}]}}, "write a UID"),
        ({"quirks": {"no_such": True}}, "quirks.no_such: unknown key"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(change, said):
    with pytest.raises(ConfigError, match=said) as err:
        behaviour({**WHOLE, **change}, "file.json")
    assert str(err.value).startswith("file.json: ")
    assert "'Miller'" not in str(err.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"[]", "must be a JSON object"),
        (b"null", "must be a JSON object"),
        (b"\xff\xfe", "is not UTF-8"),
        (b"[" * 100_000, "is not JSON"),
        (b'{"a":' * 50_000, "is not JSON"),
        (b" " * (1 << 20) + b"{}", "is longer than"),
        (b'{"behaviour": {"behaviour": {}}}', "and holds none"),
    ],
)
def test_a_hostile_file_is_an_error_in_words(data, said):
    with pytest.raises(ConfigError, match=said):
        parse(data, "file.json")
