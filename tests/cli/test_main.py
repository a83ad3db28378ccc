"""Start-up, help, errors and exit codes of the command as a whole."""

import json
import subprocess
import sys

import pytest

from pacsferry.cli import screen
from pacsferry.core.errors import FerryError, RefusedError, StoreError
from support.commands import PACSFERRY, at_terminal, call, run

HEAVY = ("pydicom", "pynetdicom", "numpy", "sqlalchemy", "requests", "dicomweb_client")
COMMANDS = [
    "demo",
    "init",
    "check",
    "echo",
    "doctor",
    "simulate",
    "find",
    "plan",
    "load",
    "resume",
    "status",
    "waive",
    "report",
    "audit",
    "verify-files",
    "describe",
    "plugins",
    "schema",
]


def loaded_by(*words):
    code = (
        "import sys\nsys.argv = ['pacsferry', *sys.argv[1:]]\nfrom pacsferry.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit:\n    pass\n"
        "# What stands there to be loaded on first use is not loaded.\n"
        "loaded = [name for name, module in sys.modules.items() if type(module).__name__ != '_Later']\n"
        "print('\\n'.join(loaded), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["load", "--help"], ["find", "--help"], ["nonsense"]])
def test_starting_loads_nothing_heavy(words):
    assert not loaded_by(*words) & set(HEAVY)


def test_help_has_every_command_under_its_heading_and_no_later_one():
    text = call("--help").out
    assert all(f" {name} " in text for name in COMMANDS)
    positions = [text.index(f"─ {head} ─") for head in ("Load", "Look", "Privacy", "Set-up", "Tools")]
    assert positions == sorted(positions)
    for later in ("upload", "web", "worker", "mcp", "query"):
        assert f"│ {later} " not in text


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    told = call(name, "--help")
    assert told.code == 0
    assert "Usage" in told.out


def test_bare_pacsferry_shows_help():
    told = run()
    assert (told.code, "Usage" in told.out) == (0, True)


def test_version():
    from pacsferry import __version__

    assert call("--version").out == f"pacsferry {__version__}\n"


def test_an_unknown_command_is_2_with_a_suggestion():
    told = run("laod")
    assert told.code == 2
    assert "load" in told.document["error"]


def test_people_get_one_line_and_a_hint():
    told = at_terminal("laod")
    assert told.code == 2
    assert told.out.startswith("pacsferry: No such command 'laod'")
    assert "hint:" in told.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("not allowed", hint="ask"), 7),
        (StoreError("full"), 6),
        (FerryError("odd"), 1),
        (OSError(28, "No space left on device", "/secret/Canary^Anna"), 6),
        (OSError(2, "No such file", "/secret/Canary^Anna"), 1),
        (ValueError("Canary^Anna"), 1),
        (KeyboardInterrupt(), 130),
        (RecursionError("Canary^Anna"), 1),
        (ExceptionGroup("Canary^Anna", [ValueError("Canary^Anna")]), 1),
    ],
)
@pytest.mark.parametrize("format_", ["json", "table"])
def test_every_error_has_its_code_and_quotes_nothing(monkeypatch, error, code, format_):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("pacsferry.app.check", fail)
    told = call("check", "-s", "demo", "--format", format_)
    assert told.code == code
    assert "Canary" not in told.out + told.err
    assert "Traceback" not in told.out + told.err
    if format_ == "json":
        assert (told.document["code"], told.err) == (code, "")
    else:
        assert (told.out, told.err[:11]) == ("", "pacsferry: ")


def test_a_bug_says_its_type_only(monkeypatch):
    monkeypatch.setattr("pacsferry.app.check", lambda *_: {}["CANARYID7"])
    told = call("check", "-s", "demo")
    assert told.document["error"].startswith("a bug: KeyError")
    assert "CANARYID7" not in told.out


def test_text_from_an_archive_cannot_steer_the_terminal():
    assert screen.shown("a\x1b[2Jb\x07c\u202ed\n") == "a\ufffd[2Jb\ufffdc\ufffdd\ufffd"


def test_output_that_is_not_utf_8_is_still_json():
    done = subprocess.run(
        [*PACSFERRY, "plugins", "--json"], capture_output=True, check=False, env={"PYTHONIOENCODING": "ascii"}
    )
    assert done.returncode == 0
    assert any("\u2026" in one["summary"] for one in json.loads(done.stdout)["plugins"])
