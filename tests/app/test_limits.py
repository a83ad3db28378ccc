"""Limits of an archive over both protocols, said or not: everything is found, or it is an error."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pacsferry import app
from pacsferry.core.query import gather
from pacsferry.testing.samples import ct_study
from support.loading import Place, place

COUNT = 23


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    studies = [
        one
        for number in range(COUNT)
        for one in ct_study(
            slices=1, rows=8, columns=8, accession=f"L{number}", date=f"202403{number + 1:02d}", seed=number
        )
    ]
    with place(tmp_path_factory.mktemp("limits"), studies) as made:
        yield made


@pytest.mark.parametrize("over", ["c-get", "wado-rs"])
@pytest.mark.parametrize(
    "fault", ["find-cap:limit=5", "find-cap:limit=7,told=true", "find-cap:limit=10", "find-page:default=4,most=4"]
)
def test_everything_is_found(there: Place, monkeypatch: pytest.MonkeyPatch, over: str, fault: str) -> None:
    monkeypatch.setenv("PACSFERRY_STATE", str(there.folder / "state"))
    there.archive.faults.clear()
    there.archive.faults.add(f"{fault},level=STUDY")
    there.archive.log.clear()
    there.write((over,))
    found = app.find(str(there.site), gather(date_from="20240101"))
    assert (len(found.rows), found.errors, found.exit_code) == (COUNT, (), 0)
    assert len(there.archive.log.of("c-find")) + len(there.archive.log.of("qido-rs")) < 60


@pytest.mark.parametrize("over", ["c-get", "wado-rs"])
def test_what_cannot_be_parted_is_an_error(there: Place, monkeypatch: pytest.MonkeyPatch, over: str) -> None:
    monkeypatch.setenv("PACSFERRY_STATE", str(there.folder / "state"))
    there.archive.faults.clear()
    there.archive.faults.add("find-cap:limit=3,told=true", "find-ignores:keyword=StudyDate+StudyTime+ModalitiesInStudy")
    there.write((over,))
    found = app.find(str(there.site), gather(date_from="20240101"))
    assert found.rows == ()
    assert found.exit_code == 4
    assert "only some of its answers" in found.errors[0][1]
    assert found.hint
    assert "ask for less at once" in found.hint
