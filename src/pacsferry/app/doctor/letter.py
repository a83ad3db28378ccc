"""The letter to the archive's administrator: who we are, what we ask for, and what is in the way; no patient in it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from pacsferry.core.archive import Archive
from pacsferry.core.ports import Finding, Standing, Vendor

_WIDTH = 78


def letter(archive: Archive, findings: Sequence[Finding], vendor: Vendor, *, host: str, today: str) -> str:
    """Plain text. ``host`` is this machine's name; ``vendor`` says how its product registers an AE title."""
    return "\n".join(_lines(archive, findings, vendor, host, today)) + "\n"


def _lines(archive: Archive, findings: Sequence[Finding], vendor: Vendor, host: str, today: str) -> Iterator[str]:
    yield f"To the administrator of {archive.name}"
    yield f"Date: {today}"
    yield ""
    yield "Subject: access of a research gateway (pacsferry) to the archive"
    yield ""
    yield from _paragraph(
        "we would like to retrieve studies from the archive for approved research. They are de-identified on "
        "arrival, before anything is stored. Please register and allow the following."
    )
    yield ""
    yield "1. Our system"
    yield ""
    yield from _table(_ours(archive, host))
    yield ""
    if how := registering(archive, vendor):
        yield from textwrap.wrap(f"To register it: {how}", _WIDTH, initial_indent="   ", subsequent_indent="   ")
        yield ""
    yield "2. The archive, as we know it (please correct what is wrong)"
    yield ""
    yield from _table(_theirs(archive))
    yield ""
    yield "3. Connections to allow in firewalls"
    yield ""
    yield from _table(_directions(archive, host))
    yield ""
    yield "4. Services that our AE title, or our account, should be allowed to use"
    yield ""
    yield from (f"   - {line}" for line in _services(archive))
    yield ""
    yield "5. What a first test found"
    yield ""
    yield from _found(findings)
    yield ""
    yield from _paragraph(
        "The test was made with `pacsferry doctor`. It asked a few small questions and retrieved one small object at "
        "most for each way of retrieval; nothing of it was kept."
    )


def registering(archive: Archive, vendor: Vendor) -> str:
    """How an administrator of this product registers our receiver; empty where that is not known."""
    if archive.dimse is None or archive.dimse.receiver is None:
        return ""
    own = archive.dimse.receiver
    return vendor.registering.replace("{title}", own.ae_title.strip()).replace("{port}", str(own.port))


def _paragraph(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH)


def _table(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    width = max((len(name) for name, _ in rows), default=0)
    return (f"   {name:<{width}}  {text}" for name, text in rows)


def _ours(archive: Archive, host: str) -> list[tuple[str, str]]:
    rows = [("Machine", host)]
    dimse = archive.dimse
    if dimse is not None:
        rows.append(("AE title that asks (SCU)", dimse.calling_ae_title))
        if dimse.receiver is not None:
            rows += [
                ("AE title that receives (Storage SCP)", dimse.receiver.ae_title),
                ("Address that it listens on", f"{dimse.receiver.host}, TCP port {dimse.receiver.port}"),
                ("TLS", "required" if dimse.receiver.tls.mode == "required" else "off"),
            ]
    return rows


def _theirs(archive: Archive) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if archive.dimse is not None:
        rows += [
            ("AE title", archive.dimse.ae_title),
            ("Host", archive.dimse.host),
            ("TCP port", str(archive.dimse.port)),
            ("TLS", "required" if archive.dimse.tls.mode == "required" else "off"),
        ]
    if archive.dicomweb is not None:
        web = archive.dicomweb
        roots = {"DICOMweb": web.url, "QIDO-RS": web.qido, "WADO-RS": web.wado}
        rows += [(name, root) for name, root in roots.items() if root]
    return rows


def _directions(archive: Archive, host: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    if archive.dimse is not None:
        rows.append((f"{host} -> {archive.dimse.host}", f"TCP {archive.dimse.port} (DICOM: queries and C-GET)"))
        if archive.dimse.receiver is not None:
            port = archive.dimse.receiver.port
            rows.append((f"{archive.dimse.host} -> {host}", f"TCP {port} (DICOM: C-MOVE sends images back to us)"))
    web = archive.dicomweb
    roots = [root for root in (web.url, web.qido, web.wado) if root] if web is not None else []
    rows += [(f"{host} -> {root.split('/')[2]}", "HTTP(S) (DICOMweb)") for root in dict.fromkeys(roots)]
    return rows


def _services(archive: Archive) -> Iterator[str]:
    if archive.dimse is not None:
        yield "C-ECHO, C-FIND (Study Root, and Patient Root if possible)"
        yield "C-GET of all storage classes (images come back on our own connection)"
        if archive.dimse.receiver is not None:
            own = archive.dimse.receiver
            yield f"C-MOVE to {own.ae_title}, registered as a destination with this machine's address, port {own.port}"
    if archive.dicomweb is not None:
        yield "QIDO-RS and WADO-RS (read only)"


def _found(findings: Sequence[Finding]) -> Iterator[str]:
    """What is in the way, each with what to do; where nothing is, that."""
    failed = [one for one in findings if one.status is Standing.FAILED]
    if not failed:
        yield "   Nothing is in the way."
    for number, one in enumerate(failed):
        if number:
            yield ""
        yield from textwrap.wrap(f"- {one.text}", _WIDTH, initial_indent="   ", subsequent_indent="     ")
        if one.advice:
            yield from textwrap.wrap(f"Please: {one.advice}", _WIDTH, initial_indent="     ", subsequent_indent="     ")
