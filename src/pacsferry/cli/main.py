"""The command line: turns words into calls of ``app``, and errors into messages and exit codes; nothing else."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
import typer.core

from pacsferry.core import redact, startup

from . import remarks, stopping
from .audit import audit
from .check import check
from .deidentify import deidentify
from .demo import demo
from .describe import describe
from .doctor import doctor
from .echo import echo
from .explain import explain
from .failure import report as report_failure
from .find import find
from .init import init
from .load import load
from .options import LOAD, LOOK, PRIVACY, SETUP, TOOLS
from .plan import plan
from .plugins import app as plugins
from .report import report
from .resume import resume
from .schema import schema
from .screen import write
from .simulate import simulate
from .status import status
from .verify_files import verify_files
from .waive import waive


class Ferry(typer.core.TyperGroup):
    """The root command: every way to end goes through here, so that each has its document and its code."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        """Run, print what went wrong if anything did, and exit."""
        argv = list(sys.argv[1:] if args is None else args)
        extra["standalone_mode"] = False
        try:
            code = super().main(argv, *rest, **extra)
        except Exception as err:
            stopping.settle()
            code = report_failure(argv, err)
        sys.exit(code if isinstance(code, int) else 0)

    def invoke(self, ctx: Any) -> Any:
        """Here, not in ``main``: click would turn Ctrl-C into an exit without a document."""
        try:
            return super().invoke(ctx)
        except (typer.Exit, SystemExit):
            raise
        except BaseException as err:
            stopping.settle()
            return report_failure(ctx.obj or sys.argv[1:], err)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Keep the words, for the error's sake."""
        return super().make_context(info_name, args, parent, obj=list(args), **extra)


app = typer.Typer(
    name="pacsferry",
    cls=Ferry,
    help="Carries studies from a clinical archive to research and leaves the identities on the shore.",
    invoke_without_command=True,
    pretty_exceptions_enable=False,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        from pacsferry import __version__

        write(f"pacsferry {__version__}\n")
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    version: Annotated[  # noqa: ARG001 # answered by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find, retrieve, de-identify and account for every instance."""
    if ctx.invoked_subcommand is None:
        write(ctx.get_help() + "\n")


def _commands() -> None:
    """Each command under its heading, in the order of the work."""
    for name, function, panel in (
        ("load", load, LOAD),
        ("plan", plan, LOAD),
        ("resume", resume, LOAD),
        ("deidentify", deidentify, LOAD),
        ("demo", demo, LOAD),
        ("find", find, LOOK),
        ("status", status, LOOK),
        ("report", report, LOOK),
        ("echo", echo, LOOK),
        ("doctor", doctor, LOOK),
        ("describe", describe, PRIVACY),
        ("explain", explain, PRIVACY),
        ("audit", audit, PRIVACY),
        ("verify-files", verify_files, PRIVACY),
        ("waive", waive, PRIVACY),
        ("init", init, SETUP),
        ("check", check, SETUP),
        ("simulate", simulate, TOOLS),
        ("schema", schema, TOOLS),
    ):
        app.command(name, rich_help_panel=panel)(function)
    app.command("query", hidden=True, help="The same as find.")(find)
    app.add_typer(plugins, name="plugins", rich_help_panel=TOOLS)


_commands()


def _only(called: str) -> None:
    """Keep the command that is called, if there is one of that name: to build all of them takes as long as a query."""
    chosen = [one for one in app.registered_commands if one.name == called]
    if chosen:
        app.registered_commands[:] = chosen
        app.registered_groups.clear()


def run() -> None:
    """The console script."""
    startup.begin()
    redact.quiet()
    redact.guard_excepthooks()
    stopping.take()
    remarks.hear(sys.argv[1:])
    _only("".join(sys.argv[1:2]))
    app(prog_name="pacsferry")
