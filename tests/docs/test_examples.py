"""Every block of TOML, Python and shell in the pages works, or at least names what exists."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import typer

from pacsferry.app.opening import plugins
from pacsferry.app.wiring import wire
from pacsferry.cli.main import app
from pacsferry.core.projectfile import fit_file
from pacsferry.profiles.read import resolve
from support.pages import README, ROOT, blocks, lines, words

#: Programs of others that the pages may name.
OTHERS = {"pipx", "uv", "pip", "apt-get", "install", "pytest", "export", "cd", "mkdir", "git", "python", "python3"}
#: Its blocks are parts of one distribution, which its own test installs.
TUTORIAL = ROOT / "docs/plugin-tutorial.md"


def named(block):
    return block.name


def pytest_generate_tests(metafunc):
    kinds = {"toml": ("toml",), "python": ("python",), "shell": ("console", "sh")}
    for fixture in set(metafunc.fixturenames) & set(kinds):
        metafunc.parametrize(fixture, blocks(*kinds[fixture]), ids=named)


def is_ours(table):
    """A site profile, and not the pyproject.toml or the vendor's file of a plugin."""
    return not {"project", "build-system", "evidence"} & set(table)


def test_toml_is_a_profile_that_can_be_wired(toml, tmp_path):
    table = tomllib.loads(toml.text)
    if toml.info == "toml project":
        assert fit_file(table, toml.name).site
    elif is_ours(table):
        for other in re.findall(r'extends = "\./([\w.-]+)"', toml.text):
            beside(toml.page, other, tmp_path)
        (tmp_path / "page.toml").write_text(toml.text, encoding="utf-8")
        resolved = resolve("./page.toml", cwd=tmp_path, need_archive=False)
        # The tutorial's profile chooses a plugin that is installed in its own test only.
        assert toml.page == TUTORIAL or wire(resolved, plugins()).chosen.deidentifier.digest


def beside(page: Path, name: str, folder: Path) -> None:
    """The block of a page that the text before it calls by that name."""
    text = page.read_text(encoding="utf-8").partition(f"`{name}`")[2]
    (folder / name).write_text(text.partition("```toml\n")[2].partition("```")[0], encoding="utf-8")


def test_python_runs(python, tmp_path):
    if (ROOT / "docs/reference") in python.page.parents:
        compile(re.sub(r":\n\Z", ": ...\n", python.text), python.name, "exec", dont_inherit=True)
    elif python.page == TUTORIAL:
        compile(python.text, python.name, "exec", dont_inherit=True)
    else:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", python.text],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "PACSFERRY_STATE": str(tmp_path / "state"),
            },
        )
        assert done.returncode == 0, done.stderr


def test_commands_and_options_exist(shell):
    for line in lines(shell):
        program, *arguments = words(line)
        if program == "pacsferry":
            understood(arguments)
        elif program == "make":
            targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
            named = {one for one in arguments if not re.match(r"[A-Z]+=", one)}  # NAME=VALUE sets a variable
            assert named <= set(targets)
        else:
            assert program in OTHERS, f"{shell.name}: {program}"


def understood(arguments):
    """Parsed as the command line would, and not run."""
    command, name = typer.main.get_command(app), "pacsferry"
    if arguments == ["--help"]:
        return
    while getattr(command, "commands", None) and arguments and not arguments[0].startswith("-"):
        name, command, arguments = f"{name} {arguments[0]}", command.commands[arguments[0]], arguments[1:]
    command.make_context(name, list(arguments))


def test_an_option_that_does_not_exist_is_noticed():
    with pytest.raises(Exception, match="No such option"):
        understood(["load", "p", "ACC0001", "--fast"])


def test_a_command_that_does_not_exist_is_noticed():
    with pytest.raises(KeyError):
        understood(["lod", "p", "ACC0001"])


def test_the_pages_have_examples_of_each_kind():
    assert len(blocks("console", "sh")) > 15
    assert len(blocks("toml")) > 8
    assert blocks("console", page=README)
