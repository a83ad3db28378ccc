"""``init`` and ``report``: make a project, write its reports again."""

from __future__ import annotations

from collections.abc import Sequence

from pacsferry.core.project import Project, init_project

from .opening import existing, opened
from .opening import site as resolved_site
from .reporting import Written, report_again


def init(
    name: str,
    *,
    site: str | None = None,
    sets: Sequence[str] = (),
    approval: str | None = None,
    approved_until: str | None = None,
    responsible: str | None = None,
    max_cases: int | None = None,
) -> Project:
    """Make a project of a site. Raises ``ConfigError``, ``RefusedError``, ``StoreError``."""
    resolved = resolved_site(site, sets)
    return init_project(
        resolved.folders,
        name,
        site=resolved.reference,
        require=resolved.profile.policy.require,
        approval=approval,
        approved_until=approved_until,
        responsible=responsible,
        max_cases=max_cases,
    )


def report(project: str, *, site: str | None = None, sets: Sequence[str] = ()) -> Written:
    """Write every report of the profile again, for the whole project as it stands."""
    there, resolved = existing(project, site, sets, need_archive=False)
    with opened(there, resolved) as work:
        run = work.ledger.start_run("report")
        written = report_again(work)
        work.ledger.end_run(run, "failed" if written.warnings else "ok", {"reports": len(written.released)})
        return written
