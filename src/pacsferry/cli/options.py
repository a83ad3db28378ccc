"""The options that commands share, each written once; only types and help texts."""

from __future__ import annotations

import enum
from typing import Annotated, Any

import typer

LOAD, LOOK, PRIVACY, SETUP, TOOLS = "Load", "Look", "Privacy", "Set-up", "Tools"

_QUERY, _OUTPUT, _SITE = "Query", "Output", "Site"


class Format(enum.StrEnum):
    """How a result is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


def option(*names: str, help: str, panel: str | None = None, **more: Any) -> Any:  # noqa: A002 - typer's word
    """An option whose default goes without saying; ``panel`` is the heading it stands under in the help."""
    return typer.Option(*names, help=help, show_default=False, rich_help_panel=panel, **more)


Project = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.", show_default=False)]
Accessions = Annotated[
    list[str] | None, typer.Argument(metavar="[ACCESSION]…", help="Accession numbers.", show_default=False)
]

Site = Annotated[
    str | None,
    option(
        "--site",
        "-s",
        metavar="NAME|FILE",
        help="The site profile: a name, or a path with a / or ending in .toml.",
        envvar="PACSFERRY_SITE",
        panel=_SITE,
    ),
]
Sets = Annotated[
    list[str] | None,
    option("--set", metavar="KEY=VALUE", help="Override a key of the profile for this run; repeatable.", panel=_SITE),
]

Preset = Annotated[
    str | None,
    option(
        "--preset",
        metavar="NAME",
        help="basic, research, tcia, strict or rad-loader, instead of a site's rules.",
        panel=_SITE,
    ),
]

Fmt = Annotated[Format | None, option("--format", help="How to print the result.", panel=_OUTPUT)]
Json = Annotated[bool, typer.Option("--json", help="The same as --format json.", rich_help_panel=_OUTPUT)]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="No progress and no remarks; the result only.", rich_help_panel=_OUTPUT)
]
Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say more; never an identifier.", rich_help_panel=_OUTPUT)
]
Events = Annotated[
    bool, typer.Option("--events", help="Progress as NDJSON on standard error.", rich_help_panel=_OUTPUT)
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Go on without a question.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="End with exit code 8 rather than wait for another process.")]
Workers = Annotated[int | None, option("--workers", help="De-identifying processes; 0 works in this one.", min=0)]

File = Annotated[
    str | None,
    option("--file", metavar="FILE", help="A list: .txt, .csv, .xlsx or .json; - reads standard input.", panel=_QUERY),
]
Sheet = Annotated[str | None, option("--sheet", help="The sheet of an .xlsx.", panel=_QUERY)]
Column = Annotated[str | None, option("--column", help="The column of accession numbers.", panel=_QUERY)]
Match = Annotated[
    list[str] | None, option("--match", metavar="KEYWORD=VALUE", help="A DICOM key to match; repeatable.", panel=_QUERY)
]
StudyDate = Annotated[
    str | None,
    option(
        "--study-date",
        metavar="DATE|RANGE",
        help="20240517, 2024-05-17, 20240501-20240531, -30d, yesterday.",
        panel=_QUERY,
    ),
]
From = Annotated[str | None, option("--from", metavar="DATE", help="On or after.", panel=_QUERY)]
To = Annotated[str | None, option("--to", metavar="DATE", help="On or before.", panel=_QUERY)]
Modality = Annotated[list[str] | None, option("--modality", help="CT, MR …; repeatable.", panel=_QUERY)]
MaxStudies = Annotated[int | None, option("--max-studies", help="Take no more studies.", min=1, panel=_QUERY)]
MaxImages = Annotated[
    int | None, option("--max-images", help="Stop before the study that would exceed it.", min=1, panel=_QUERY)
]
