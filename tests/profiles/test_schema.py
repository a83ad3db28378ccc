"""The schema says what the models say: what resolves is valid, what is refused is not."""

from __future__ import annotations

import tomllib

import jsonschema
import pytest

from pacsferry.core.projectfile import ProjectFile
from pacsferry.profiles.files import SHIPPED
from pacsferry.profiles.model import SiteProfile
from pacsferry.profiles.read import resolve
from pacsferry.profiles.schema import project_schema, site_schema


def test_both_are_schemas() -> None:
    for schema in (site_schema(), project_schema()):
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$id"].startswith("pacsferry.")


@pytest.mark.parametrize("name", ["orthanc", "dcmqrscp", "demo"])
def test_a_whole_profile_is_valid(name: str) -> None:
    jsonschema.validate(resolve(name).tables, site_schema())


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_files_are_valid_as_they_stand(path) -> None:
    jsonschema.validate(tomllib.loads(path.read_text()), site_schema())


@pytest.mark.parametrize(
    "text",
    [
        "[archive]\nname = 'x'",
        "extends = 'orthanc'\n[export]\nuse = 'x'",
        "extends = 'orthanc'\n[archive.dimse]\nhost = 'h'\nport = 0\nae_title = 'A'",
        "extends = 'orthanc'\n[deidentify]\nuse = 3",
        "extends = 'orthanc'\n[exclude]\npatients = 'literal'",
    ],
)
def test_what_is_refused_is_not_valid(text: str) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(tomllib.loads(text), site_schema())


def test_a_plugins_own_settings_are_allowed() -> None:
    jsonschema.validate(tomllib.loads("extends = 'orthanc'\n[[transport]]\nuse = 'x'\nmine = 1"), site_schema())


def test_every_key_is_explained() -> None:
    plain = {
        "settings",
        "dimse",
        "dicomweb",
        "receiver",
        "tls",
        "user_identity",
        "auth",
        "timeouts",
        "modality",
        "sop_class",
    }
    for model in (SiteProfile, ProjectFile):
        schema = model.model_json_schema()
        for owner, table in {model.__name__: schema, **schema.get("$defs", {})}.items():
            for key, field in table["properties"].items():
                described = "description" in field or "$ref" in str(field) or key in plain
                assert described or owner in {"Tls", "UserIdentity", "WebAuth", "Changed", "Choice", "Select"}, (
                    f"{owner}.{key}"
                )
