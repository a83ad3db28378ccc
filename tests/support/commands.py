"""Run commands as a user does: in this process through typer's runner, or as processes with pipes or a terminal."""

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading
from dataclasses import dataclass

import jsonschema
from typer.testing import CliRunner

from pacsferry.cli.main import app
from pacsferry.cli.schema import named

PACSFERRY = [sys.executable, "-c", "from pacsferry.cli.main import run; run()"]


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def document(self):
        """Exactly one JSON document, which is what its schema says."""
        told = json.loads(self.out)
        check(told)
        return told


def check(document):
    jsonschema.validate(document, named(document["schema"].removeprefix("pacsferry.")))


def call(*words, stdin=None, **env):
    """In this process; stdout is no terminal."""
    result = CliRunner().invoke(app, [str(word) for word in words], input=stdin, env=env)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def run(*words, stdin=None, cwd=None, timeout=60, **env):
    """As a process with pipes."""
    done = subprocess.run(
        [*PACSFERRY, *map(str, words)],
        input=stdin,
        capture_output=True,
        cwd=cwd,
        timeout=timeout,
        check=False,
        env={**os.environ, **env},
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


def start(*words, cwd=None):
    return subprocess.Popen(
        [*PACSFERRY, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd, text=True
    )


def at_terminal(*words, cwd=None, columns=120, timeout=60, **env):
    """As a process whose standard streams are a terminal; both outputs come mixed, as people see them."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    process = subprocess.Popen(
        [*PACSFERRY, *map(str, words)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=cwd,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns), **env},
        start_new_session=True,
    )
    os.close(theirs)
    guard = threading.Timer(timeout, process.send_signal, [signal.SIGKILL])
    guard.start()
    shown = b""
    try:
        while chunk := _read(ours):
            shown += chunk
    finally:
        os.close(ours)
        code = process.wait()
        guard.cancel()
    return Answer(code, shown.decode(errors="replace").replace("\r\n", "\n"), "")


def _read(fd):
    try:
        return os.read(fd, 65536)
    except OSError:
        return b""
