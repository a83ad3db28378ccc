"""A run's summary with one of everything, and with words that an attacker would choose."""

import dataclasses
from datetime import UTC, datetime

from pacsferry.core.model import Evidence, Row, Status, StoredInstance, Summary

HOSTILE = "=HYPERLINK(\"http://evil\")<script>alert('x')</script>&\x1b[31m"


def row(number, **fields):
    whole = 10 * number
    base = Row(
        request=number,
        accession=f"ACC-{number:03d}",
        case_id=f"case{number:04d}",
        study_uid=f"2.25.{1000 - number}",
        status=Status.OK,
        study_date=None,
        modality="CT",
        description=None,
        series_count=2,
        image_count=whole,
        expected=whole,
        received=whole,
        stored=whole,
        evidence=Evidence.INSTANCE_UIDS,
        transports=("wado-rs",),
        path=f"case{number:04d}",
        duration_s=1.25,
    )
    return dataclasses.replace(base, **fields)


ROWS = (
    row(1),
    row(
        2,
        status=Status.INCOMPLETE,
        received=15,
        stored=14,
        held=1,
        missing=5,
        retryable=True,
        modality="MR",
        description=HOSTILE,
        reasons={"stalled": 5, "sop-class": 1},
        error="the archive sent nothing for ACC-002",
    ),
    row(3, status=Status.HELD, stored=0, held=30, reasons={"burned-in": 30}, modality="US"),
    row(4, status=Status.WAIVED, stored=39, missing=1, reasons={"not-sent": 1}),
    Row(request=5, accession="ACC-005", status=Status.NOT_FOUND),
    Row(request=6, accession="@SUM(1)", status=Status.FAILED, error="the archive could not be reached"),
)


def instance(study, number, case):
    return StoredInstance(
        series_uid=f"{study}.1",
        instance_uid=f"{study}.1.{number}",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        path=f"{case}/a/b/{number:05d}.dcm",
        size=1000 + number,
        sha256=f"{number:064x}",
    )


def manifests(rows):
    return {
        one.study_uid: [instance(one.study_uid, number, one.case_id) for number in reversed(range(one.stored))]
        for one in rows
        if one.study_uid and one.stored
    }


def summary(*, identified, rows=ROWS, **fields):
    """What the core gives a report: a released one has lost accessions and messages that could name them."""
    mine = rows if identified else tuple(dataclasses.replace(one, accession=None) for one in rows)
    base = Summary(
        project="lungs",
        run="run-1",
        command="load",
        started=datetime(2024, 6, 1, 19, 30, tzinfo=UTC),
        status="incomplete",
        rows=mine,
        verification={
            "ok": False,
            "total_requested": 6,
            "loaded": 1,
            "skipped": 0,
            "failed": 1,
            "not_found": 1,
            "warnings": ["ACC-001: few images"],
        },
        manifests=manifests(mine),
        project_rows=tuple(one for one in mine if one.case_id) if identified else (),
        version="9.9.9",
        rules_digest="ab" * 32,
        described=("All private elements are removed.",),
        audit_head="cd" * 32,
        identified=identified,
    )
    return dataclasses.replace(base, **fields)
