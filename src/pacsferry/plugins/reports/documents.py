"""JSON for programs: what a run did, and a manifest per study; released files name nothing original."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pacsferry.core.documents import document, load_document
from pacsferry.core.model import Row, StoredInstance, Summary
from pacsferry.core.strict import NoSettings

from .released import counts, outcomes, pseudonymous, studies


class Json:
    """``reports/summary.json`` and ``reports/manifests/<study_uid>.json``; ``reports/load.json`` in private."""

    def __init__(self, settings: NoSettings) -> None:
        self._settings = settings

    def write(self, summary: Summary) -> Mapping[str, bytes]:
        return dict(_private(summary) if summary.identified else _released(summary))


def _private(summary: Summary) -> Iterator[tuple[str, bytes]]:
    whole = load_document(
        project=summary.project,
        run=summary.run,
        status=summary.status,
        rows=summary.rows,
        verification=summary.verification,
    )
    yield "reports/load.json", _bytes(whole)


def _released(summary: Summary) -> Iterator[tuple[str, bytes]]:
    yield "reports/summary.json", _bytes(_summary(summary))
    rows = {row.study_uid: row for row in summary.rows}
    for study, instances in sorted(summary.manifests.items()):
        manifest = document(
            "manifest",
            "ok",
            study_uid=study,
            **_account(rows[study]),
            **_made_by(summary),
            unresolved_references=summary.unresolved.get(study, 0),
            instances=[_instance(each) for each in sorted(instances, key=lambda each: each.path)],
        )
        yield f"reports/manifests/{study}.json", _bytes(manifest)


def _account(row: Row) -> dict[str, Any]:
    """What was expected of a study, what that rests on, and what became of it."""
    return {
        "case_id": row.case_id,
        "evidence": str(row.evidence),
        "expected": row.expected,
        "stored": row.stored,
        "held": row.held,
        "missing": row.missing,
        "excluded": row.excluded,
    }


def _summary(summary: Summary) -> dict[str, Any]:
    return document(
        "summary",
        summary.status,
        project=summary.project,
        run=summary.run,
        command=summary.command,
        started=summary.started.isoformat(timespec="seconds"),
        **_made_by(summary),
        audit_head=summary.audit_head,
        outcomes=outcomes(summary.rows),
        verification=counts(summary),
        unresolved_references=sum(summary.unresolved.values()),
        results=[pseudonymous(row) for row in studies(summary.rows)],
    )


def _made_by(summary: Summary) -> dict[str, Any]:
    return {"pacsferry": summary.version, "rules_digest": summary.rules_digest, "described": list(summary.described)}


def _instance(stored: StoredInstance) -> dict[str, Any]:
    return {
        "path": stored.path,
        "series_uid": stored.series_uid,
        "instance_uid": stored.instance_uid,
        "sop_class": stored.sop_class,
        "size": stored.size,
        "sha256": stored.sha256,
    }


def _bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
