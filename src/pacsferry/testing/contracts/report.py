"""The contract of reports: pure, and a released one links to nobody."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Final

import pytest

from pacsferry.core.model import Evidence, Row, Status, StoredInstance, Summary
from pacsferry.core.places import plain
from pacsferry.core.ports import Offer, Report
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import CT, uid

from .kit import ACCESSION, Contract, build, without_canaries

HOSTILE: Final = "=HYPERLINK(\"http://evil\")<script>alert('x')</script>&\x1b[31m"
_STUDY: Final = uid("report", "study")

_ROWS: Final = (
    Row(
        request=1, accession=ACCESSION, case_id="case0001", study_uid=_STUDY, status=Status.OK, study_date="20240101",
        modality="CT", description=HOSTILE, series_count=1, image_count=2, expected=2, received=2, stored=2,
        evidence=Evidence.INSTANCE_UIDS, transports=("wado-rs",), path="case0001/20240101-0123456789ab",
    ),
    Row(
        request=2, accession="CANARYACC2", case_id="case0002", study_uid=uid("report", 2), status=Status.INCOMPLETE,
        modality="MR", series_count=2, image_count=10, expected=10, received=7, stored=6, held=1, missing=3,
        reasons={"stalled": 3, "sop-class": 1}, retryable=True, error=f"nothing came for {ACCESSION}",
    ),
    Row(request=3, accession=f"{ACCESSION}9", status=Status.NOT_FOUND),
)  # fmt: skip


def summary(*, identified: bool, rows: tuple[Row, ...] = _ROWS) -> Summary:
    """A run as core describes it; a released one names no accession."""
    released = tuple(replace(row, accession=None, error=None) for row in rows)
    stored = [
        StoredInstance(
            series_uid=uid("report", "series"),
            instance_uid=uid("report", "instance", n),
            sop_class=CT,
            path=f"case0001/20240101-0123456789ab/001-0123456789ab/0000{n}-0123456789ab.dcm",
            size=1000 + n,
            sha256="ab" * 32,
        )
        for n in (1, 2)
    ]
    return Summary(
        project="kit",
        run="run-1",
        command="load",
        started=datetime(2024, 6, 1, 12, 0, tzinfo=UTC),
        status="incomplete",
        rows=rows if identified else released,
        verification={
            "ok": False,
            "total_requested": 3,
            "loaded": 1,
            "skipped": 0,
            "failed": 1,
            "not_found": 1,
            "warnings": [],
        },
        manifests={_STUDY: stored} if rows else {},
        project_rows=rows if identified else (),
        version="0",
        rules_digest="cd" * 32,
        described=("Names are replaced.",),
        audit_head="ef" * 32,
        identified=identified,
    )


class ReportContract(Contract):
    """Override ``offer``."""

    @pytest.fixture
    def report(self, offer: Offer[Any], settings: Strict) -> Report:
        """The report under test."""
        made: Report = build(offer, settings)
        return made

    def test_it_writes_something_for_somebody(self, report: Report) -> None:
        files = {**report.write(summary(identified=False)), **report.write(summary(identified=True))}
        assert files, "a report that writes nothing says nothing"
        assert all(isinstance(content, bytes) for content in files.values())

    @pytest.mark.parametrize("identified", [False, True])
    def test_names_of_files_are_plain(self, report: Report, identified: bool) -> None:
        for name in report.write(summary(identified=identified)):
            assert plain(PurePosixPath(name))

    def test_a_released_report_links_to_nobody(self, report: Report) -> None:
        report.write(summary(identified=True))  # a report that remembered this would tell
        for name, content in report.write(summary(identified=False)).items():
            without_canaries(name, content.decode("utf-8", "replace"))

    @pytest.mark.parametrize("identified", [False, True])
    def test_the_same_again(self, offer: Offer[Any], settings: Strict, report: Report, identified: bool) -> None:
        files = dict(report.write(summary(identified=identified)))
        assert dict(report.write(summary(identified=identified))) == files, "pure: no clock, no counter"
        assert dict(build(offer, settings).write(summary(identified=identified))) == files

    @pytest.mark.parametrize("identified", [False, True])
    def test_text_from_the_archive_stays_text(self, report: Report, identified: bool) -> None:
        for name, content in report.write(summary(identified=identified)).items():
            text = content.decode()
            if name.endswith((".html", ".htm", ".svg")):
                assert "<script>alert(" not in text, "text is escaped in HTML"
                assert "\x1b" not in text
            elif name.endswith(".csv"):
                cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
                assert not any(cell.startswith("=HYPERLINK") for cell in cells), "a spreadsheet would run it (OWASP)"
            elif name.endswith(".json"):
                json.loads(text)

    @pytest.mark.parametrize("identified", [False, True])
    def test_nothing_to_report(self, report: Report, identified: bool) -> None:
        for content in report.write(summary(identified=identified, rows=())).values():
            assert isinstance(content, bytes)
