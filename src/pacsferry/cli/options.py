"""The options that commands share, each written once; only types and help texts."""

from __future__ import annotations

import enum
from typing import Annotated

import typer

LOAD, LOOK, PRIVACY, SETUP, TOOLS = "Load", "Look", "Privacy", "Set-up", "Tools"

_QUERY, _OUTPUT, _SITE = "Query", "Output", "Site"


class Format(enum.StrEnum):
    """How a result is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


Project = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name.", show_default=False)]
Accessions = Annotated[
    list[str] | None, typer.Argument(metavar="[ACCESSION]…", help="Accession numbers.", show_default=False)
]

Site = Annotated[
    str | None,
    typer.Option(
        "--site",
        "-s",
        metavar="NAME|FILE",
        envvar="PACSFERRY_SITE",
        help="The site profile: a name, or a path with a / or ending in .toml.",
        show_default=False,
        rich_help_panel=_SITE,
    ),
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a key of the profile for this run; repeatable.",
        show_default=False,
        rich_help_panel=_SITE,
    ),
]

Preset = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        help="basic, research, tcia, strict or rad-loader, instead of a site's rules.",
        show_default=False,
        rich_help_panel=_SITE,
    ),
]

Fmt = Annotated[
    Format | None,
    typer.Option("--format", help="How to print the result.", show_default=False, rich_help_panel=_OUTPUT),
]
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
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=0, help="De-identifying processes; 0 works in this one.", show_default=False),
]

File = Annotated[
    str | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="A list: .txt, .csv, .xlsx or .json; - reads standard input.",
        show_default=False,
        rich_help_panel=_QUERY,
    ),
]
Sheet = Annotated[
    str | None, typer.Option("--sheet", help="The sheet of an .xlsx.", show_default=False, rich_help_panel=_QUERY)
]
Column = Annotated[
    str | None,
    typer.Option("--column", help="The column of accession numbers.", show_default=False, rich_help_panel=_QUERY),
]
Match = Annotated[
    list[str] | None,
    typer.Option(
        "--match",
        metavar="KEYWORD=VALUE",
        help="A DICOM key to match; repeatable.",
        show_default=False,
        rich_help_panel=_QUERY,
    ),
]
StudyDate = Annotated[
    str | None,
    typer.Option(
        "--study-date",
        metavar="DATE|RANGE",
        help="20240517, 2024-05-17, 20240501-20240531, -30d, yesterday.",
        show_default=False,
        rich_help_panel=_QUERY,
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="DATE", help="On or after.", show_default=False, rich_help_panel=_QUERY),
]
To = Annotated[
    str | None,
    typer.Option("--to", metavar="DATE", help="On or before.", show_default=False, rich_help_panel=_QUERY),
]
Modality = Annotated[
    list[str] | None,
    typer.Option("--modality", help="CT, MR …; repeatable.", show_default=False, rich_help_panel=_QUERY),
]
MaxStudies = Annotated[
    int | None,
    typer.Option("--max-studies", min=1, help="Take no more studies.", show_default=False, rich_help_panel=_QUERY),
]
MaxImages = Annotated[
    int | None,
    typer.Option(
        "--max-images",
        min=1,
        help="Stop before the study that would exceed it.",
        show_default=False,
        rich_help_panel=_QUERY,
    ),
]
