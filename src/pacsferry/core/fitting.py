"""Turn a table of settings into its strict model, or into errors with full addresses; no value is ever quoted."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from .errors import ConfigError
from .strict import Strict

S = TypeVar("S", bound=Strict)
Path = tuple[str | int, ...]

_NAMES = {
    "string_type": "must be text, in quotes",
    "int_type": "must be a whole number, without quotes",
    "int_parsing": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number, without quotes",
    "finite_number": "must be finite",
    "bool_type": "must be true or false, without quotes",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "list_type": "must be a list",
    "set_type": "must be a list",
    "frozen_set_type": "must be a list",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Where something is wrong, and what would be right."""

    where: Path
    text: str
    kind: str = ""  # pydantic's name of the error, where it has one

    @property
    def address(self) -> str:
        """The full key: ``transport.0.use``."""
        return dotted(self.where)

    def line(self, below: str = "") -> str:
        """Address and text; ``below`` is the address of the table that was checked."""
        return ": ".join(part for part in (".".join(p for p in (below, self.address) if p), self.text) if part)


def dotted(path: Iterable[str | int]) -> str:
    """The address of a key, as ``--set`` takes it."""
    return ".".join(str(part) for part in path)


def fit(model: type[S], table: Mapping[str, Any], where: str) -> S:
    """``table`` as ``model``. Raises one ``ConfigError`` with every problem; ``where`` is the table's own address."""
    value, problems = attempt(model, table)
    if value is None:
        raise ConfigError("\n".join(one.line(where) for one in problems))
    return value


def checked(kind: Any, value: object, where: str) -> Any:
    """``value`` as ``kind`` wants it. Raises ``ConfigError`` that begins with ``where``, as the name of an option."""
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as err:
        first = err.errors(include_url=False, include_input=False)[0]
        said = first.get("ctx", {}).get("error", first["msg"])
        raise ConfigError(f"{where}: {said}") from None


def attempt(model: type[S], table: Mapping[str, Any]) -> tuple[S | None, list[Problem]]:
    """The model and no problem, or None and all problems, those not yet supported first."""
    kept, problems = prune(model, table, ())
    try:
        value = model.model_validate(kept)
    except ValidationError as err:
        settled = tuple(one.where[:-1] for one in problems if one.where[-1] == "use")
        others = [_explained(model, one) for one in err.errors(include_url=False, include_input=False)]
        problems += [one for one in others if not any(one.where[: len(at)] == at for at in settled)]
        return None, [one for one in problems if not _follows(one, problems)]
    return (None, problems) if problems else (value, [])


def _follows(one: Problem, problems: Iterable[Problem]) -> bool:
    """Whether a list is called too short only because an item of it is wrong."""
    depth = len(one.where)
    return one.kind == "too_short" and any(
        len(other.where) > depth and other.where[:depth] == one.where for other in problems
    )


# --- what is agreed and not built yet


def prune(model: type[Strict], table: Mapping[str, Any], at: Path) -> tuple[dict[str, Any], list[Problem]]:
    """``table`` without the keys that the model calls not yet supported, and a problem for each of them."""
    kept: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, value in table.items():
        if (text := _not_yet(model, key, value)) is not None:
            problems.append(Problem(where=(*at, key), text=text))
            if key == "use":  # the other keys are settings of what was chosen
                return {}, problems
        else:
            kept[key], below = _prune_value(_nested(model, key), value, (*at, key))
            problems += below
    return kept, problems


def _not_yet(model: type[Strict], key: str, value: object) -> str | None:
    if what := model.not_yet.get(key):
        return f"not yet supported ({what}); leave it out"
    if isinstance(value, str) and (what := model.not_yet.get(f"{key}={value}")):
        return f"{value!r} is not yet supported ({what})"
    return None


def _prune_value(model: type[Strict] | None, value: Any, at: Path) -> tuple[Any, list[Problem]]:
    if model is not None and isinstance(value, Mapping):
        return prune(model, value, at)
    if model is not None and isinstance(value, list):
        pairs = [_prune_value(model, one, (*at, index)) for index, one in enumerate(value)]
        return [one for one, _ in pairs], [problem for _, problems in pairs for problem in problems]
    return value, []


def _nested(model: type[Strict], key: str) -> type[Strict] | None:
    """The settings model that a key's table is checked against, also inside Optional and tuple."""
    for name, field in model.model_fields.items():
        if key in {name, field.alias}:
            return _strict_in(field.annotation)
    return None


def _strict_in(annotation: Any) -> type[Strict] | None:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _strict_in(arg))), None)


# --- pydantic's errors in our words


def _explained(model: type[Strict], error: ErrorDetails) -> Problem:
    where = tuple(error["loc"])
    say = _SPECIAL.get(error["type"])
    text = say(model, error) if say else _NAMES.get(error["type"]) or _constraint(error)
    return Problem(where=where, text=text, kind=error["type"])


def _owner(model: type[Strict], where: Path) -> type[Strict] | None:
    """The model that holds the last key of ``where``."""
    owner: type[Strict] | None = model
    for part in where[:-1]:
        if isinstance(part, str) and owner is not None:
            owner = _nested(owner, part)
    return owner


def _unknown(model: type[Strict], error: ErrorDetails) -> str:
    """Suggest the nearest key, of those built and of those agreed."""
    owner = _owner(model, tuple(error["loc"])) or model
    known = [field.alias or name for name, field in owner.model_fields.items()]
    agreed = {key.partition("=")[0] for key in owner.not_yet}
    near = difflib.get_close_matches(str(error["loc"][-1]), [*known, *sorted(agreed)], n=1, cutoff=0.5)
    if near:
        return f"unknown key; did you mean {near[0]!r}?"
    return f"unknown key; known here: {', '.join(known)}" if known else "unknown key; there is nothing to set here"


def _missing(model: type[Strict], error: ErrorDetails) -> str:
    described = _description(model, tuple(error["loc"]))
    return f"missing: {described}" if described else "missing"


def _description(model: type[Strict], where: Path) -> str:
    owner = _owner(model, where)
    fields = owner.model_fields if owner else {}
    return next(
        (field.description or "" for name, field in fields.items() if where and where[-1] in {name, field.alias}), ""
    )


def _list(model: type[Strict], error: ErrorDetails) -> str:
    """A list of tables has its own way of writing in TOML."""
    owner, key = _owner(model, tuple(error["loc"])), str(error["loc"][-1])
    return f"must be a list of tables: write [[{key}]]" if owner and _nested(owner, key) else "must be a list"


def _own_words(_model: type[Strict], error: ErrorDetails) -> str:
    """What our validators say; they quote no value."""
    return str(error.get("ctx", {}).get("error", error["msg"]))


def _one_of(_model: type[Strict], error: ErrorDetails) -> str:
    return f"must be {error.get('ctx', {}).get('expected')}"


def _too_short(_model: type[Strict], error: ErrorDetails) -> str:
    return f"must have at least {error.get('ctx', {}).get('min_length')}; leave the key out to have none"


def _constraint(error: ErrorDetails) -> str:
    """Bounds and lengths: pydantic's sentences hold the bound, never the value."""
    return error["msg"].replace("Input should be", "must be").replace("String should", "must")


_SPECIAL: Mapping[str, Callable[[type[Strict], ErrorDetails], str]] = {
    "extra_forbidden": _unknown,
    "missing": _missing,
    "tuple_type": _list,
    "literal_error": _one_of,
    "too_short": _too_short,
    "value_error": _own_words,
}
