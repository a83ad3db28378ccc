"""What stands in a project's ``project.toml``: typed, written by us and read by people; secrets never stand there."""

from __future__ import annotations

import contextlib
import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictInt

from .drafts import draft
from .errors import ConfigError, RefusedError, StoreError
from .fitting import attempt, fit
from .strict import Strict

NAME = "project.toml"


def _date(value: object) -> object:
    """A TOML date, or text as people type it; numbers would be read as seconds since 1970."""
    if type(value) is date:
        return value
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    msg = "write a date as YYYY-MM-DD"
    raise ValueError(msg)


def _text(text: str) -> str:
    """A command line may hold bytes that are no text in any encoding; TOML cannot."""
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        msg = "write it in UTF-8"
        raise ValueError(msg)
    return text


Day = Annotated[date, BeforeValidator(_date)]
Text = Annotated[str, Field(min_length=1), AfterValidator(_text)]


class Changed(Strict):
    """A change of the anonymization rules that somebody accepted."""

    before: str
    after: str
    reason: Text
    on: Day


class ProjectFile(Strict):
    """``project.toml``. The first five keys are the site's and the ethics board's, the rest is kept by pacsferry."""

    site: Text = Field(description="the site profile: its name, or the absolute path of its file")
    approval: Text | None = Field(default=None, description="number of the approval")
    approved_until: Day | None = Field(default=None, description="last day of the approval, YYYY-MM-DD")
    responsible: Text | None = Field(default=None, description="who answers for the project")
    max_cases: Annotated[StrictInt, Field(ge=1)] | None = Field(default=None, description="at most so many cases")
    images: Text | None = Field(default=None, description="folder of the released images; relative to this file's")
    rules_digest: str | None = Field(default=None, description="the anonymization rules this project began with")
    changed: tuple[Changed, ...] = Field(default=(), description="accepted changes of the rules")

    def require(self, keys: tuple[str, ...], where: str) -> None:
        """Raises ``RefusedError`` naming every key of [policy] ``require`` that is not set."""
        if missing := [key for key in keys if getattr(self, key) is None]:
            options = " ".join(f"--{key.replace('_', '-')} …" for key in missing)
            raise RefusedError(
                f"{where}: {', '.join(missing)} missing, which [policy] require of the site profile asks for",
                hint=f"give {options} to `pacsferry init`, or write the keys into the file",
            )

    def approved(self, where: str, today: date) -> None:
        """Raises ``RefusedError`` after the last day of the approval."""
        if self.approved_until is not None and today > self.approved_until:
            raise RefusedError(
                f"{where}: the approval ended on {self.approved_until}", hint="renew it, then change approved_until"
            )


def read(path: Path) -> ProjectFile:
    """The file. Raises ``ConfigError`` with every problem and its address."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as err:
        raise ConfigError(f"{path}: this is not TOML: {err}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is not UTF-8 text") from None
    except OSError as err:
        raise ConfigError(f"{path}: cannot be read: {err.strerror}") from None
    return fit_file(table, str(path))


def fit_file(table: Mapping[str, Any], where: str) -> ProjectFile:
    """``table`` as a project file. Raises ``ConfigError``; ``where`` is said before each address."""
    value, problems = attempt(ProjectFile, table)
    if value is None:
        raise ConfigError("\n".join(f"{where}: {one.line()}" for one in problems))
    return value


def pinned(path: Path, digest: str) -> None:
    """Write the first digest into the file; everything a person wrote there stays."""
    text = path.read_text(encoding="utf-8-sig")
    _replace(path, _with_digest(text, digest), expect=digest)


def repinned(path: Path, digest: str, reason: str) -> None:
    """Write another digest and who accepted it why; everything a person wrote there stays."""
    before = read(path).rules_digest or ""
    entry = {"before": before, "after": digest, "reason": reason, "on": datetime.now(UTC).date()}
    fit(Changed, entry, "the accepted change")
    text = _with_digest(path.read_text(encoding="utf-8-sig"), digest).rstrip("\n")
    _replace(path, f"{text}\n\n[[changed]]\n{lines(entry)}", expect=digest)


def _with_digest(text: str, digest: str) -> str:
    """The key stands above all tables, so the first such line is the one."""
    line = f"rules_digest = {_value(digest)}"
    changed, count = re.subn(r"^rules_digest[ \t]*=.*$", lambda _: line, text, count=1, flags=re.MULTILINE)
    return changed if count else f"{line}\n{text}"


def _replace(path: Path, text: str, *, expect: str) -> None:
    """Write only what reads back as meant."""
    if fit_file(tomllib.loads(text), str(path)).rules_digest != expect:
        raise ConfigError(f"{path}: rules_digest cannot be written", hint="write it as one line above all tables")
    temporary = draft(path)
    try:
        write_new(temporary, text.encode())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as err:
        temporary.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {err.strerror}") from None


# --- writing


def lines(table: Mapping[str, Any]) -> str:
    """Keys and values as TOML, without those that are None."""
    return "".join(f"{key} = {_value(value)}\n" for key, value in table.items() if value is not None)


def _value(value: str | int | date) -> str:
    """JSON's escapes are TOML's, save that TOML wants DEL escaped too."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return value.isoformat() if isinstance(value, date) else str(value)


def write_new(path: Path, content: bytes) -> None:
    """Make a file only we can read, durable; one that is there already is an ``OSError``."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def sync_folder(path: Path) -> None:
    """Make names in a folder durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One process at a time changes the project's file; the lock ends with the process."""
    import fcntl

    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
