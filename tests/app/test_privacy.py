"""No planted identifier comes out anywhere: success and every fault, every output, every verbosity, every process."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import subprocess
import tempfile
import warnings

import pytest

from pacsferry.testing.samples import ct_study, report, secondary_capture
from pacsferry.testing.simulator import FAULTS
from support.commands import PACSFERRY, call, run
from support.loading import TRANSPORTS, place
from support.processes import command_line, family, temporary, until
from support.strangers import installed

ACC = "ZQACC77"
#: What is planted; nothing of it is typed by anybody.
PLANTED = {
    "PatientID": "ZQPID4711",
    "PatientName": "Zqlast^Zqfirst^Zqmiddle",
    "IssuerOfPatientID": "ZQISSUER",
    "OtherPatientIDs": "ZQOTHER88",
    "PatientBirthDate": "19310203",
    "PatientAddress": "Zqstreet 12",
    "PatientTelephoneNumbers": "+41 99 123 45 67",
    "PatientMotherBirthName": "Zqmother",
    "PatientComments": "Zqcomment",
    "AccessionNumber": ACC,
    "StudyID": "ZQSTUDY5",
    "StudyDescription": "ZQDESCRIPTION of Zqlast",
    "SeriesDescription": "ZQSERIES native",
    "ProtocolName": "ZQPROTOCOL",
    "InstitutionName": "Zqhospital",
    "InstitutionAddress": "Zqroad 1",
    "InstitutionalDepartmentName": "Zqdepartment",
    "ReferringPhysicianName": "Zqreferrer^A",
    "PerformingPhysicianName": "Zqperformer^B",
    "OperatorsName": "Zqoperator^C",
    "StationName": "ZQSTATION",
    "DeviceSerialNumber": "ZQSERIAL9",
    "AdmissionID": "ZQADMISSION",
    "RequestingPhysician": "Zqrequester^D",
    "StudyDate": "20170911",
    "SeriesDate": "20170912",
    "AcquisitionDate": "20170913",
    "ContentDate": "20170914",
}
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
SLICES = 3


def objects():
    study = ct_study(slices=SLICES, rows=16, columns=16)
    study += [report(study), secondary_capture(study)]
    for ds in study:
        for keyword, value in PLANTED.items():
            setattr(ds, keyword, value)
    return study


def canaries():
    """Words to look for, without case: names in their parts, ids, dates, and original UIDs."""
    words = {"zqlast", "zqfirst", "zqmiddle"}
    words |= {value.partition("^")[0].partition(" of")[0].casefold() for value in PLANTED.values()}
    words |= {str(ds.get(name)).casefold() for ds in objects() for name in UIDS if ds.get(name)}
    return words


CANARIES = canaries()


def clean(text, where):
    text = text.decode("latin-1") if isinstance(text, bytes) else text
    low = text.casefold()
    assert [word for word in CANARIES if word in low] == [], where


def dump(path):
    """Every table of a database but the linkage table."""
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
        rows = [repr(row) for name in names if name != "linkage" for row in db.execute(f'SELECT * FROM "{name}"')]
        assert "event" in names
        return "\n".join(rows)
    finally:
        db.close()


def files_clean(there, project="p"):
    """Released bytes and names, ledger and audit trail, leases, the private folder's names."""
    root = there.folder
    if (root / "research" / project).exists():
        clean(there.everything_written(project), "released")
    private = root / "private" / project
    if (private / "ledger.db").exists():
        clean(dump(private / "ledger.db"), "ledger")
    clean("\n".join(str(path.relative_to(root)) for path in root.rglob("*")), "names")
    for path in (root / "state").rglob("*"):
        if path.name == "audit.db":
            clean(dump(path), "audit trail")
        elif path.is_file():
            clean(path.read_bytes(), path.name)


@pytest.fixture
def scratch(tmp_path_factory, monkeypatch):
    """The temp folder of this process, which must stay empty."""
    folder = tmp_path_factory.mktemp("scratch")
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


@pytest.fixture
def heard(caplog):
    """All that is logged or warned, at the lowest level."""
    caplog.set_level(logging.DEBUG)
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        yield lambda: caplog.text + "\n".join(str(one.message) for one in shown)


@pytest.fixture
def there(tmp_path):
    with place(tmp_path, objects()) as made:
        made.write()
        yield made


def fault_cases():
    """Every fault once, over the transports in turn."""
    for number, (name, kind) in enumerate(FAULTS.items()):
        over = [one for one in TRANSPORTS if one in kind.verbs]
        if not over:
            over = ["c-get"] if {"c-find", "associate"} & set(kind.verbs) else ["wado-rs"]
        yield name, over[number % len(over)]


@pytest.mark.parametrize(("fault", "over"), [("", one) for one in TRANSPORTS] + list(fault_cases()))
def test_nothing_comes_out_whatever_goes_wrong(there, scratch, heard, fault, over):
    if fault:
        there.archive.faults.add(fault)
    there.write((over,))
    quick = ("--set", "archive.timeouts.stall=600ms", "--set", "archive.timeouts.quiet=300ms")
    told = call(
        "load",
        "p",
        "--from",
        "20170101",
        "--to",
        "20171231",
        "-s",
        there.site,
        "--workers",
        0,
        "--verbose",
        "--events",
        *quick,
    )
    clean(told.out + told.err, "output")
    table = call("status", "p", "--format", "table", "--problems")
    clean(table.out + table.err, "status")
    clean(heard(), "logs and warnings")
    files_clean(there)
    if not fault:
        assert told.code == 5
        assert told.document["results"][0]["stored"] == SLICES
        assert told.document["results"][0]["held"] == 2


TALKS = {"load", "resume", "plan", "find"}


def test_no_command_tells_in_any_format(there, scratch, heard):
    words = ("--from", "20170101", "--to", "20171231", "-s", there.site)
    call("load", "p", *words, "--workers", 0)
    for command in (
        ("find", *words),
        ("plan", "p", *words),
        ("load", "p", *words, "--workers", "0"),
        ("status", "p"),
        ("status", "p", "--problems"),
        ("audit", "p", "--last", "1000"),
        ("audit",),
        ("verify-files", "p"),
        ("report", "p"),
        ("resume", "p", "--workers", "0"),
        ("echo", "-s", there.site),
        ("check", "-s", there.site),
        ("describe", "-s", there.site),
    ):
        for fmt in ("table", "json", "csv"):
            if fmt == "csv" and command[0] == "describe":
                continue
            told = call(*command, "--format", fmt, *(["--verbose"] if command[0] in TALKS else []))
            assert told.code in {0, 5}, (command, fmt, told)
            clean(told.out + told.err, (command, fmt))
    clean(heard(), "logs and warnings")
    files_clean(there)


def test_find_shows_identified_answers_only_where_asked_for(there):
    """Its own document is for a terminal or the private folder; a pipe gets an error and nothing else."""
    told = call("find", "--from", "20170101", "--to", "20171231", "-s", there.site, "--identified")
    assert told.code in {2, 7}
    clean(told.out + told.err, "find --identified in a pipe")


SITECUSTOMIZE = """
import logging, os
logging.basicConfig(level=logging.DEBUG, filename=os.environ["HEARD"])
logging.captureWarnings(True)
logging.getLogger("probe").debug("listening")
"""


@pytest.mark.parametrize(
    ("fault", "over"),
    [
        ("", "wado-rs"),
        ("", "c-move"),
        ("other-patient", "c-get"),
        ("truncated-object", "c-move"),
        ("wrong-uid", "c-get"),
    ],
)
def test_processes_say_nothing_in_developer_mode(there, tmp_path, over, fault):
    """As a user who debugs: root logger at DEBUG in every process, development mode, all warnings."""
    if fault:
        there.archive.faults.add(fault)
    (tmp_path / "custom").mkdir()
    (tmp_path / "custom" / "sitecustomize.py").write_text(SITECUSTOMIZE)
    there.write((over,))
    env = {
        **temporary(tmp_path / "tmp"),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(tmp_path / "custom"), os.environ.get("PYTHONPATH", "")])),
        "HEARD": str(tmp_path / "heard.log"),
        "PYTHONDEVMODE": "1",
        "PYTHONWARNINGS": "always",
    }
    told = run(
        "load", "p", "--from", "20170101", "--to", "20171231", "-s", there.site, "--workers", 1, "--verbose", "--events",
        cwd=tmp_path, **env,
    )  # fmt: skip
    assert told.code == 5, told
    clean(told.out + told.err, "output")
    heard = (tmp_path / "heard.log").read_text()
    assert heard.count("listening") == 2
    clean(heard, "logs")
    assert "Traceback" not in told.err
    assert list((tmp_path / "tmp").iterdir()) == []
    files_clean(there)


def test_neither_the_secret_nor_an_identifier_is_on_a_command_line(there, tmp_path):
    there.archive.faults.add("pause:nth=2,seconds=2")
    process = subprocess.Popen(
        [*PACSFERRY, "load", "p", "--from", "20170101", "--to", "20171231", "-s", str(there.site), "--workers", "2"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=dict(os.environ),
    )  # fmt: skip
    until(lambda: there.archive.log.sent("wado-rs") and len(family(process.pid)) == 3)
    lines = b"\n".join(command_line(one) for one in family(process.pid))
    process.communicate(timeout=30)
    assert lines.count(b"pacsferry.clearer") == 2
    clean(lines, "command lines")
    secret = (tmp_path / "private" / "p" / "secret").read_text().strip().encode()
    assert secret not in lines
    assert secret not in there.everything_written()


BROKEN = """
    from pacsferry import hookimpl
    from pacsferry.core.strict import NoSettings
    from pacsferry.core.model import Level, Traits
    from pacsferry.core.ports import Offer

    WORDS = "ZQPID4711 Zqlast^Zqfirst ZQACC77"

    class Broken:
        protocol = "dicomweb"
        digest = "broken"
        traits = Traits(takes=frozenset({{Level.STUDY}}), protocol="dicomweb")

        def __init__(self, *settings):
            pass

        def _fail(self, *args, **more):
            raise {error}

        def describe(self):
            return ["Breaks."]

        find = fetch = ping = apply = judge = place = write = name = _fail

        def close(self):
            pass

    def _offer():
        return [Offer(name="broken", summary="Breaks.", build=Broken, settings=NoSettings)]

    @hookimpl
    def pacsferry_finders(): return _offer()
    @hookimpl
    def pacsferry_transports(): return _offer()
    @hookimpl
    def pacsferry_gates(): return _offer()
    @hookimpl
    def pacsferry_anonymization_profiles(): return _offer()
    @hookimpl
    def pacsferry_storage_layouts(): return _offer()
    @hookimpl
    def pacsferry_reports(): return _offer()
    @hookimpl
    def pacsferry_pseudonym_sources(): return _offer()
"""

ERRORS = ["ValueError(WORDS)", "OSError(28, WORDS, WORDS)", "KeyError(WORDS)", "type('Odd', (Exception,), {})(WORDS)"]
CHOICES = {
    "finder": ('[find]\nuse = "broken"\n', ("wado-rs",)),
    "transport": ("", ("broken",)),
    "gate": ('[[gate]]\nuse = "broken"\n', ("wado-rs",)),
    "deidentifier": ('[deidentify]\nuse = "broken"\n', ("wado-rs",)),
    "layout": ('[layout]\nuse = "broken"\n', ("wado-rs",)),
    "report": ('[[report]]\nuse = "broken"\n', ("wado-rs",)),
    "pseudonyms": ('[pseudonyms]\nuse = "broken"\n', ("wado-rs",)),
}


@pytest.mark.parametrize("kind", CHOICES)
@pytest.mark.parametrize("error", ERRORS[:2])
def test_a_plugin_that_raises_with_a_patients_data_tells_nobody(there, tmp_path, kind, error):
    env = installed(tmp_path / "plug", "broken_plugin", BROKEN.format(error=error))
    extra, transports = CHOICES[kind]
    there.write(transports, extra if kind != "transport" else '[find]\nuse = "qido-rs"\n')
    told = run(
        "load", "p", "--from", "20170101", "--to", "20171231", "-s", there.site, "--workers", 1, "--verbose",
        cwd=tmp_path, **env,
    )  # fmt: skip
    assert told.code != 0, told
    assert json.loads(told.out)
    clean(told.out + told.err, "output")
    files_clean(there)
    assert call("audit", "p", "--check").code in {0, 6}
    if kind != "report":
        assert there.images() == []


def test_nothing_released_links_to_the_archive(there):
    """No accession, original UID or date in any released byte, and no hint of when it was loaded for whom."""
    call("load", "p", "--from", "20170101", "--to", "20171231", "-s", there.site, "--workers", 0)
    everything = there.everything_written()
    clean(everything, "released")
    assert b"201709" not in everything
    page = (there.folder / "research" / "p" / "reports" / "report.html").read_text()
    assert "case0001" in page
    assert (there.folder / "private" / "p" / "key.csv").read_text().count(ACC) == 1
