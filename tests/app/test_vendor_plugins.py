"""A vendor plugin of a third party: its quirks are heard, and what data cannot say its wrappers do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pacsferry import app
from pacsferry.app import opening
from pacsferry.core import registry
from pacsferry.core.archive import Archive
from pacsferry.core.hookspecs import hookimpl
from pacsferry.core.model import Match, Query
from pacsferry.core.ports import Finder, Transport, Vendor
from pacsferry.core.query import gather
from pacsferry.core.quirks import Quirks
from pacsferry.testing.samples import ct_study
from support.loading import place


class Passing:
    """Hands everything on, and remembers what for."""

    def __init__(self, inner: Any, seen: list[str]) -> None:
        self._inner, self._seen = inner, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def find(self, query: Query) -> Iterator[Match]:
        self._seen.append(f"find {query.level} {sorted(query.keys)}")
        yield from self._inner.find(query)

    def fetch(self, wanted: Any, sink: Any) -> Any:
        self._seen.append(f"fetch {wanted.level}")
        return self._inner.fetch(wanted, sink)


def plugin(seen: list[str]) -> type:
    def finder(archive: Archive, inner: Finder) -> Finder:
        seen.append(f"quirks {archive.quirks.modality_matching}")
        return Passing(inner, seen)

    def transport(archive: Archive, inner: Transport) -> Transport:
        del archive
        return Passing(inner, seen)

    class Strange:
        @staticmethod
        @hookimpl
        def pacsferry_vendors() -> Iterable[Vendor]:
            return [
                Vendor(
                    name="strange",
                    summary="a product of nobody",
                    quirks=Quirks(modality_matching=False, image_level_retrieve=False),
                    evidence={"modality_matching": "seen", "image_level_retrieve": "seen"},
                    wrap_finder=finder,
                    wrap_transport=transport,
                )
            ]

    return Strange


def test_quirks_and_wrappers_of_a_third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    known = registry.load(external=False, extra=[plugin(seen)])
    monkeypatch.setattr(opening, "plugins", lambda: known)
    study = ct_study(slices=2, rows=16, columns=16, accession="ACC500", patient_id="CANARY5")
    with place(tmp_path, study) as there:
        there.write(("c-get",))
        site = tmp_path / "strange.toml"
        site.write_text(f'extends = "{there.site}"\n[archive]\nvendor = "strange"\n')
        site.chmod(0o600)
        there.archive.faults.add("drop:nth=2,times=1")
        asked = gather(["ACC500"], modality=["CT"])
        loaded = app.load("p", asked, app.LoadOptions(workers=0), site=str(site))
    assert (loaded.exit_code, loaded.rows[0].stored) == (0, 2)
    assert seen[0] == "quirks False"
    assert "find STUDY ['AccessionNumber']" in seen
    assert "fetch IMAGE" not in seen
    assert seen.count("fetch SERIES") >= 2
