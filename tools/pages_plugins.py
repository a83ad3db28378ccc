# ruff: noqa: INP001 - beside a script, no package
"""The pages for people who write plugins or look after archives: hooks, ports, quirks, the simulator's faults."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType
from typing import Any

from pages_text import code, outline, signature, table, told

HOOKS = """# Hooks

Each hook is asked once, at start-up, and answers with named offers. A site profile chooses by **name**, so the order of
plugins never matters. Built-ins are found through the same entry points as plugins of others. How to write one:
[tutorial](../plugin-tutorial.md). What the values are: [ports](ports.md).

A plugin is a module with functions of these names, each marked with `@hookimpl`, and an entry point in the group
`pacsferry`. What cannot be imported, raises, or names a hook that does not exist is listed by `pacsferry plugins` and
stops nothing until a profile chooses one of its names.
"""

PORTS = """# Ports

What plugins build and are given. What a method must do stands in its docstring, and the contracts of
`pacsferry.testing.contracts` check it. Which hook offers what: [hooks](hooks.md).
"""

FAULTS = """# The simulator's faults

`pacsferry.testing.simulator.Simulator` is an archive that behaves, or misbehaves, to order. A fault is ordered in
Python, `Fault("drop", nth=2)`, or as text, `"drop:nth=2,times=1"`.
[`pacsferry simulate`](../how-to/simulate.md) takes the text. Each fault also takes `times`, `verb`, `level` and
`study`.

"""

QUIRKS = """# Quirks and vendors

A quirk says how an archive departs from the standard. The site's own findings go over the vendor's, and these over
what the standard promises: `site.over(vendor).over(standard)`. Set your own with

```toml
extends = "orthanc"

[archive]
quirks.requires_study_date = true
```

"""


def _described(kind: str) -> Iterator[tuple[str, str, str]]:
    from pacsferry.core.registry import load

    for name, offered in sorted(load(external=False).offers[kind].items()):
        yield name, offered[0].offer.summary, offered[0].owner.partition(":")[2]


def hooks() -> str:
    """Each hook with its exact signature, what it is for, and the built-ins that use it."""
    from pacsferry.core import hookspecs
    from pacsferry.core.registry import KINDS

    text = HOOKS
    for kind, hook in KINDS.items():
        function = getattr(hookspecs, hook)
        used = table(
            ("name", "what it is", "built-in plugin"), ((f"`{n}`", s, f"`{o}`") for n, s, o in _described(kind))
        )
        text += f"\n## {hook}\n\n{code(signature(function))}\n{told(function.__doc__)}\n{used}"
    return text


#: What stands on the page of ports, by heading: name of the module below ``pacsferry.core`` -> names in it.
_SHOWN: dict[str, dict[str, tuple[str, ...]]] = {
    "Offers": {"ports": ("Offer", "Vendor")},
    "What a plugin builds": {
        "ports": (
            "Finder",
            "Transport",
            "Deidentifier",
            "Gate",
            "PseudonymSource",
            "Layout",
            "Report",
            "Observer",
            "Authenticator",
        ),
    },
    "What it is given": {
        "ports": ("Sink", "SharingSink"),
        "auditline": ("AuditLine",),
        "model": ("Keys", "Query", "Wanted", "Source", "Subject", "Summary"),
    },
    "What it answers": {
        "model": (
            "Match",
            "Ping",
            "Traits",
            "Head",
            "Receipt",
            "Tally",
            "Draft",
            "Facts",
            "Seen",
            "Needle",
            "Verdict",
        ),
    },
}


def ports() -> str:
    """Protocols and values, as their authors wrote them."""
    from pacsferry.core import auditline, model, ports

    modules: dict[str, ModuleType] = {"auditline": auditline, "model": model, "ports": ports}
    text = PORTS
    for heading, parts in _SHOWN.items():
        text += f"\n## {heading}\n"
        for module, names in parts.items():
            for name in names:
                kind: Any = getattr(modules[module], name)
                text += f"\n### {name}\n\n`pacsferry.core.{module}.{name}`: {told(kind.__doc__)}\n{code(outline(kind))}"
    return text


def faults() -> str:
    """Every fault with its parameters and what it touches."""
    from pacsferry.testing.simulator import faults as module

    common = ", ".join(f"`{name}`" for name in module.COMMON)
    rows = [
        (
            f"`{name}`",
            fault.summary,
            ", ".join(f"`{key}={value}`" for key, value in fault.parameters.items()),
            ", ".join(fault.verbs),
        )
        for name, fault in module.FAULTS.items()
    ]
    words = (
        f"\nEach takes {common} too: how many requests it spoils (0: all), and which verb, study (its UID) and level "
        "only.\nNumbers may be written as `0x…`.\n"
    )
    return FAULTS + table(("fault", "the archive …", "parameters and defaults", "when asked by"), rows) + words


def quirks() -> str:
    """Every quirk with what it means, and every vendor with what is known of it and why."""
    from pacsferry.core.quirks import STANDARD, Quirks
    from pacsferry.core.registry import load

    fields = Quirks.model_fields
    rows = [(f"`{name}`", fields[name].description, _said(getattr(STANDARD, name))) for name in fields]
    text = QUIRKS + table(("quirk", "means", "the standard"), rows)
    for name, offered in sorted(load(external=False).offers["vendor"].items()):
        vendor = offered[0].offer
        text += f"\n## {name}\n\n{vendor.summary[0].upper()}{vendor.summary[1:]}.\n"
        known = [
            (f"`{quirk}`", _said(getattr(vendor.quirks, quirk)), vendor.evidence[quirk]) for quirk in vendor.evidence
        ]
        if known:
            text += "\n" + table(("quirk", "value", "evidence"), known)
    return text


def _said(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {True: "yes", False: "no", None: "not known"}[value]
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value) or "none"
    return f"{value:,g}" if isinstance(value, int | float) else f"`{value}`"
