"""JSON Schemas of the files that people write, made from the models that check them; nothing is written twice."""

from __future__ import annotations

from typing import Any

from pacsferry.core.behaviour import Behaviour
from pacsferry.core.projectfile import ProjectFile
from pacsferry.core.strict import Choice, Strict

from .model import SiteProfile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def site_schema() -> dict[str, Any]:
    """The schema of a whole site profile, that is with all that it extends."""
    schema = _schema(SiteProfile, "pacsferry.site", "A site profile")
    for name in {"Choice", *(kind.__name__ for kind in Choice.__subclasses__())} & schema["$defs"].keys():
        _open(schema["$defs"][name])
    required = schema.pop("required")
    # What is missing here may stand in the profile that it extends.
    schema["anyOf"] = [{"required": ["extends"]}, {"required": required}]
    return schema


def project_schema() -> dict[str, Any]:
    """The schema of ``project.toml``."""
    return _schema(ProjectFile, "pacsferry.project", "A project's project.toml")


def behaviour_schema() -> dict[str, Any]:
    """The schema of what ``doctor`` learns of an archive."""
    schema = _schema(Behaviour, "pacsferry.behaviour", "How an archive behaves")
    schema["required"] = ["schema", "version"]
    return schema


def _schema(model: type[Strict], identifier: str, title: str) -> dict[str, Any]:
    schema = model.model_json_schema(mode="validation", by_alias=True)
    return {"$schema": DIALECT, "$id": identifier, **schema, "title": title}


def _open(choice: dict[str, Any]) -> None:
    """The further keys of a chosen plugin's table are its own."""
    choice["properties"].pop("settings", None)
    choice["additionalProperties"] = True
