# ruff: noqa: INP001 - beside a script, no package
"""The pages of what people write and programs read: profile keys, exit codes, reason codes, JSON documents."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

from pages_text import table, told

Schema = Mapping[str, Any]

ERRORS = """# Exit codes and errors

| code | when |
| --- | --- |
| 0 | all that was asked for is done |
| 1 | a bug |
| 2 | usage or configuration is wrong; nothing was contacted |
| 3 | nothing matched |
| 4 | the archive or the network |
| 5 | something is incomplete, unverified, held or failed |
| 6 | storage |
| 7 | refused by policy |
| 8 | another process holds it (with `--no-wait`) |
| 130 | interrupted or terminated; what was done is kept |

"""

CLASSES = """
An accession number that nothing matches is 3 when it is all that was asked for, else 5 with status `not_found`.

Where standard output is no terminal, an error is a JSON document too: `pacsferry.error`, see [documents](json.md).
Messages say what, where and what would be right, and never a value of a data set.

In Python, each error has its `exit_code`:

"""

REASONS = """# Reason codes

Why something is held, excluded or missing. They stand in the ledger, in JSON (`reasons`) and in reports.

"""

HTTP = """# HTTP statuses

What the finder `qido-rs` and the transport `wado-rs` make of an archive's answer: what they try next, and the
[reason code](reasons.md) that stands in reports where nothing helps.

*The same request again* is with growing pauses and jitter, never before `Retry-After`, `max_tries` times at most; a
`Retry-After` beyond `max_wait` ends it. 202, and 503 or 504 of a study that the archive calls NEARLINE, are waited out
as long as `archive.timeouts.nearline` allows. A 401 fetches a new token once, where a token is
[how we prove who we are](../how-to/dicomweb-auth.md).

"""

DIMSE = """# DIMSE statuses, and what is tried next

What the finder `c-find` and the transports `c-get` and `c-move` make of a final status (PS3.7 Annex C, PS3.4 C.4), and
the [reason code](reasons.md) that stands in reports where nothing helps. [HTTP statuses](http.md) have their own page.

"""

LADDER = """
Anything else of Axxx, Bxxx and Cxxx is `unable-to-process`.

## What is tried next, by reason

The same for every transport, and always only for what is still missing. *Once more* are further requests of the same
kind while they bring nothing: with pauses and jitter (`[budget] back_off`), in one place, so that what a transport has
tried by itself counts. Then comes another level of the same transport, then the next transport of the profile.
*Instances* are asked for at once where one of them may be why the archive breaks off. *Above* is a series instead of
instances, and the study instead of series: where nothing came at a level, the archive may not have it. A reason that is
not here is not tried again; a person has to change something, or the next transport may serve.

What would end so for every study (`destination-unknown`, `http-401`, `http-redirect`, `no-context`, `tls`,
`user-identity`, and a `refused-association` for good) is asked for once a run: a transport that brought nothing before
is left out from then on, which is said once, and queries that nobody may make are made once.

"""

PROFILE = """# Keys of a site profile

Everything a site profile may say; how profiles are found, extended and overridden is in [profiles](../profiles.md).
`pacsferry schema site` prints the same as JSON Schema. Unknown keys are errors.

Times are numbers of seconds or text: `"90s"`, `"30m"`, `"2h"`. A key without a default and marked *required* must be
there, or stand in the profile that this one extends.
"""

DOCUMENTS = """# JSON documents

Every document has `schema`, `version` and `status`, and on trouble `hint`. `pacsferry schema NAME` prints its JSON
Schema; the schemas are part of the package. Keys may be added in a version; none is renamed or removed without
another `version`.

A command prints exactly one document, also when it is interrupted. No document holds an identifier that the user did
not type, but for `find --identified`.

"""


def errors() -> str:
    """Exit codes, which one wins, and the error classes."""
    from pacsferry.core import errors as module

    order = ", ".join(str(one) for one in module.PRECEDENCE)
    words = "When several apply, the first of these wins: " + order + ". 4 counts only when nothing could be done.\n"
    kinds = [
        (f"`{name}`", kind.exit_code, told(kind.__doc__))
        for name, kind in vars(module).items()
        if inspect.isclass(kind) and issubclass(kind, module.FerryError)
    ]
    return ERRORS + words + CLASSES + table(("class of `pacsferry.core.errors`", "exit code", ""), kinds)


def reasons() -> str:
    """Reason codes by what becomes of the instance."""
    from pacsferry.core import reasons as module
    from pacsferry.core.documents import EXCLUDED, HELD

    known = module.REASONS

    groups = {"Held": HELD, "Excluded": EXCLUDED, "Missing, or odd": known.keys() - HELD - EXCLUDED}
    text = REASONS + "`resume` may help where *again* says yes. Plugins may bring codes of their own.\n"
    for heading, codes in groups.items():
        rows = [
            (f"`{code}`", why.means, why.advice, "yes" if why.retryable else "no")
            for code, why in known.items()
            if code in codes
        ]
        text += f"\n## {heading}\n\n" + table(("code", "means", "what to do", "again"), rows)
    return text


def http() -> str:
    """Every status of the table, with what is tried next."""
    from pacsferry.plugins.dicomweb.statuses import STATUS

    rows = [
        (str(status), meant.then.value, f"`{meant.code}`", "yes" if meant.retryable else "no")
        for status, meant in STATUS.items()
    ]
    words = (
        "\nAnything else below 200 or from 300 on is `http-error`: another transport; `resume` may help after 5xx.\n"
    )
    return HTTP + table(("status", "what is tried next", "reason code", "again another day"), rows) + words


def dimse() -> str:
    """Every status of the table, and the remedy of each reason."""
    from pacsferry.core.distress import WORDS
    from pacsferry.core.ladder import REMEDIES, Remedy
    from pacsferry.plugins.dimse.statuses import STATUS

    rows = [(f"0x{status:04X}", meant.then.value, f"`{meant.code}`") for status, meant in sorted(STATUS.items())]

    def levels(told: Remedy) -> str:
        words = ["instances"] if told.apart else ["below"] if told.below else []
        return ", ".join([*words, "above"] if told.above else words) or "none"

    remedies = [
        (WORDS.get(code, f"`{code}`"), str(told.more) if told.more else "no", levels(told))
        for code, told in REMEDIES.items()
    ]
    ladder = table(("reason", "once more", "other levels"), remedies)
    return DIMSE + table(("status", "what is tried next", "reason code"), rows) + LADDER + ladder


# --- the site profile


def profile() -> str:
    """Every key with its type, default and meaning, table by table; then the settings of plugins; then projects."""
    from pacsferry.profiles.schema import project_schema, site_schema

    site, project = site_schema(), project_schema()
    required = set(site["anyOf"][1]["required"])
    text = PROFILE + "".join(_table(site, site, "", required))
    text += "\n## Settings of plugins\n\nThey stand in the table that chooses the plugin with `use`.\n"
    text += "".join(_settings())
    text += "\n# Keys of `project.toml`\n\n" + _rows(project, project, set(project.get("required", ())))
    return text


def _table(whole: Schema, schema: Schema, address: str, required: set[str]) -> Iterator[str]:
    """A table's own keys, then each table below it."""
    own = {name: one for name, one in schema["properties"].items() if _below(whole, one) is None}
    if own or not address:
        heading = f"`[{address}]`" if address else "At the top"
        words = told(_first(schema.get("description", ""))) + "\n" if address else ""
        yield f"\n## {heading}\n\n{words}" + _rows(whole, {**schema, "properties": own}, required)
    for name, one in schema["properties"].items():
        below = _below(whole, one)
        if below is None:
            continue
        inner, many = below
        at = f"{address}.{name}" if address else name
        if "description" in one:
            inner = {**inner, "description": f"{one['description'][0].upper()}{one['description'][1:]}."}
        yield from _table(whole, inner, f"[{at}]" if many else at, set(inner.get("required", ())))


def _first(text: str) -> str:
    return text.split("\n\n", maxsplit=1)[0]


def _below(whole: Schema, one: Schema) -> tuple[Schema, bool] | None:
    """The table that a key holds, and whether there may be several of it; None for a plain value."""
    for each in [one, *one.get("anyOf", ())]:
        if each.get("type") == "array" and "$ref" in each.get("items", {}):
            return _resolve(whole, each["items"]["$ref"]), True
        if "$ref" in each:
            found = _resolve(whole, each["$ref"])
            if found.get("type") == "object":
                return found, False
    return None


def _resolve(whole: Schema, ref: str) -> Schema:
    found: Schema = whole["$defs"][ref.rpartition("/")[2]]
    return found


def _rows(whole: Schema, schema: Schema, required: set[str]) -> str:
    rows = [
        (f"`{name}`", _type(whole, one), _default(name, one, required), one.get("description", ""))
        for name, one in schema["properties"].items()
    ]
    return table(("key", "type", "default", "meaning"), rows)


#: JSON Schema's types in words.
_WORDS = {"string": "text", "integer": "number", "number": "number", "boolean": "true, false"}


def _type(whole: Schema, one: Schema) -> str:
    kind = one.get("type")
    if "anyOf" in one:
        return " or ".join(_type(whole, each) for each in one["anyOf"] if each.get("type") != "null")
    if "const" in one or "enum" in one:
        return " ".join(f"`{value}`" for value in one.get("enum", [one.get("const")]))
    if kind == "array":
        return f"list of {_type(whole, one.get('items', {}))}"
    if isinstance(kind, list):
        return "number or " + ", ".join(f"`{json.dumps(value)}`" for value in one.get("examples", ["text"]))
    return "date" if one.get("format") == "date" else _WORDS.get(str(kind), "table") + _bounds(one)


def _bounds(one: Schema) -> str:
    low, high = one.get("minimum"), one.get("maximum")
    if low is None and high is None:
        return ""
    return f", {low} to {high}" if high is not None else f", {low} or more"


def _default(name: str, one: Schema, required: set[str]) -> str:
    if name in required:
        return "*required*"
    value = one.get("default")
    return "" if value is None else f"`{json.dumps(value)}`"


def _settings() -> Iterator[str]:
    from pacsferry.core.registry import load

    registry = load(external=False)
    for kind, offers in registry.offers.items():
        for name, offered in sorted(offers.items()):
            settings = getattr(offered[0].offer, "settings", None)
            schema = settings.model_json_schema() if settings is not None else {}
            if schema.get("properties"):
                required = set(schema.get("required", ()))
                yield f"\n### {kind} `{name}`\n\n" + _rows(schema, schema, required)


# --- JSON documents


def documents() -> str:
    """What documents there are, and the keys of each."""
    from pacsferry.cli.schema import named, shipped

    schemas = {name: named(name) for name in shipped()}
    of_us = {name: one for name, one in schemas.items() if "schema" in one.get("properties", {})}
    rows = [(f"[`pacsferry.{name}`](#pacsferry{name})", one.get("title", "")) for name, one in of_us.items()]
    text = DOCUMENTS + table(("schema", "what it is"), rows)
    text += (
        "\n`pacsferry schema site` and `pacsferry schema project` are of the [files that people write](profile.md).\n"
    )
    for name, one in of_us.items():
        text += f"\n## pacsferry.{name}\n\n{one.get('title', '')}.\n\n" + _keys(one)
    return text


def _keys(schema: Schema) -> str:
    known = {"schema", "version"}
    required = set(schema.get("required", ()))
    rows = [
        (f"`{address}`", _json_type(one), "yes" if sure else "", one.get("description", ""))
        for address, one, sure in _flat(schema, "", required)
        if address not in known
    ]
    return table(("key", "type", "always", ""), rows)


def _flat(schema: Schema, below: str, required: set[str]) -> Iterator[tuple[str, Schema, bool]]:
    """Keys with the keys of inner objects after them, as ``results[].status``."""
    for name, one in schema.get("properties", {}).items():
        address = f"{below}{name}"
        yield address, one, name in required
        many = one.get("items") if isinstance(one.get("items"), dict) else None
        inner, mark = (many, "[]") if many else (one, "")
        if inner.get("properties"):
            yield from _flat(inner, f"{address}{mark}.", set(inner.get("required", ())))


def _json_type(one: Schema) -> str:
    if "enum" in one:
        return " ".join(f"`{value}`" for value in one["enum"])
    if "const" in one:
        return f"`{one['const']}`"
    if "anyOf" in one:
        return " or ".join(_json_type(each) for each in one["anyOf"])
    kinds = one.get("type", "anything")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)
