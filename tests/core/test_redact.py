"""What the helpers against leaks let through, and what they do not."""

from __future__ import annotations

import io
import logging
import subprocess
import sys
import threading
import warnings

import pytest

from pacsferry.core import redact
from pacsferry.core.errors import ConfigError, TransferError

CANARY = "CANARY^NAME"


@pytest.fixture
def logged():
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.NOTSET)
    yield stream
    root.removeHandler(handler)
    root.setLevel(before)


@pytest.mark.parametrize(
    "name", [*redact.TALKATIVE, "pynetdicom.acse", "urllib3.connectionpool", "dicomweb_client.web", "pydicom.new"]
)
def test_a_talkative_library_is_not_heard(name, logged, capfd):
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(logging.StreamHandler(sys.stderr))
    redact.quiet_loggers()
    for level in (logging.DEBUG, logging.ERROR, logging.CRITICAL):
        logger.log(level, CANARY)
    assert CANARY not in logged.getvalue() + capfd.readouterr().err


def test_a_logger_made_later_is_not_heard_either(logged):
    redact.quiet_loggers()
    logging.getLogger("pynetdicom.made_later").critical(CANARY)
    logging.getLogger("pydicom.a.b").error(CANARY)
    assert CANARY not in logged.getvalue()


def test_other_loggers_are_heard(logged):
    redact.quiet()
    logging.getLogger("pydicomish").warning("heard")
    logging.getLogger("mine").info("heard too")
    assert logged.getvalue() == "heard\nheard too\n"


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "always", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


def test_warnings_of_pydicom_hold_values_and_are_not_shown():
    done = run(
        "import warnings\n"
        "from pacsferry.core import redact\n"
        "redact.quiet(); redact.quiet()\n"
        "from pydicom.dataset import Dataset\n"
        "ds = Dataset()\n"
        "ds.StudyDate = 'not a date CANARY'\n"
        "ds.PatientID = 'CANARY' * 20\n"
        "warnings.warn('mine is shown', stacklevel=1)\n"
    )
    assert done.returncode == 0
    assert "CANARY" not in done.stdout + done.stderr
    assert done.stderr.count("mine is shown") >= 1


def test_warnings_of_others_are_shown_as_before():
    shown = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *_: shown.append(str(message))
        redact.quiet_warnings()
        first = warnings.showwarning
        redact.quiet_warnings()
        assert warnings.showwarning is first
        warnings.warn("seen", stacklevel=1)
        space = {"__name__": "pydicom.valuerep", "warnings": warnings}
        exec(f"def check(): warnings.warn({CANARY!r}, stacklevel=3)\ncheck()", space)
    assert shown == ["seen"]


def caught(action) -> BaseException:
    try:
        action()
    except BaseException as err:
        return err
    raise AssertionError


def foreign() -> None:
    raise ValueError(f"bad value {CANARY}")


def test_our_own_errors_say_their_message():
    assert redact.describe_exception(TransferError("the archive is silent", code="stalled")) == "the archive is silent"
    assert redact.describe_exception(ConfigError("archive.name is missing")) == "archive.name is missing"


def test_a_foreign_error_says_its_type_and_place_only():
    text = redact.describe_exception(caught(foreign))
    assert text.startswith("ValueError at core/test_redact.py:")
    assert text.endswith(" in foreign")


def test_causes_are_named_without_their_messages():
    def outer() -> None:
        try:
            foreign()
        except ValueError as err:
            raise KeyError(CANARY) from err

    text = redact.describe_exception(caught(outer))
    assert CANARY not in text
    assert "KeyError" in text
    assert "ValueError" in text


def test_what_was_raised_from_none_is_not_named():
    def outer() -> None:
        try:
            foreign()
        except ValueError:
            raise RuntimeError("x") from None

    assert "ValueError" not in redact.describe_exception(caught(outer))


def test_one_of_ours_below_a_foreign_error_says_its_message():
    def outer() -> None:
        try:
            raise TransferError("the archive is silent", code="stalled")
        except TransferError as err:
            raise RuntimeError(CANARY) from err

    text = redact.describe_exception(caught(outer))
    assert "RuntimeError" in text
    assert "TransferError: the archive is silent" in text


def test_groups_name_their_members():
    text = redact.describe_exception(ExceptionGroup(CANARY, [ValueError(CANARY), KeyError(CANARY)]))
    assert text == "ExceptionGroup of KeyError, ValueError"


def test_a_circle_of_causes_ends():
    one, two = ValueError(CANARY), KeyError(CANARY)
    one.__cause__, two.__cause__ = two, one
    assert CANARY not in redact.describe_exception(one)


def test_a_traceback_shows_places_and_no_values():
    text = redact.describe_traceback(caught(foreign))
    assert "test_redact.py" in text
    assert CANARY not in text
    assert "raise ValueError" not in text


def test_uncaught_errors_are_printed_without_their_messages():
    done = run(
        "import threading\n"
        "from pacsferry.core import redact\n"
        "redact.guard_excepthooks()\n"
        "class Odd:\n"
        "    def __del__(self): raise ValueError('CANARY')\n"
        "def fail(): raise KeyError('CANARY')\n"
        "t = threading.Thread(target=fail); t.start(); t.join()\n"
        "odd = Odd(); del odd\n"
        "raise RuntimeError('CANARY')\n"
    )
    assert done.returncode == 1
    assert "CANARY" not in done.stdout + done.stderr
    for name in ("KeyError", "ValueError", "RuntimeError"):
        assert name in done.stderr


def test_the_hooks_can_be_put_back(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    redact.guard_excepthooks()
    err = caught(foreign)
    sys.excepthook(type(err), err, err.__traceback__)
    assert CANARY not in capsys.readouterr().err


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
def test_a_formula_gets_an_apostrophe(start):
    assert redact.guard_cell(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"


@pytest.mark.parametrize("text", ["", "CT ABDOMEN", "a=b", " =1", "'=1", "20240517", "MRT Schädel"])
def test_other_text_stays_as_it_is(text):
    assert redact.guard_cell(text) == text
