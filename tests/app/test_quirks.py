"""Each quirk is there for a misbehaviour: with it a load is complete, without it the misbehaviour shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pacsferry import app
from pacsferry.app.simulating import SimulateOptions, ordered
from pacsferry.core import registry
from pacsferry.core.archive import Archive, Timeouts
from pacsferry.core.errors import FerryError
from pacsferry.core.model import Status
from pacsferry.core.query import gather
from pacsferry.core.quirks import Quirks
from pacsferry.plugins.vendors.catalogue import vendors
from pacsferry.testing.samples import ct_study
from support.loading import Place, place

ACC = "ACC300"
SLICES = 3


def study(accession: str = ACC, **more: object) -> list[object]:
    return ct_study(slices=SLICES, rows=16, columns=16, accession=accession, patient_id="CANARY3", **more)  # type: ignore[return-value,arg-type]


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    with place(tmp_path, study()) as made:
        yield made


def load(there: Place, over: str, quirks: str = "", vendor: str = "generic", **query: object) -> app.Loaded:
    there.write((over,), f"[archive.quirks]\n{quirks}" if quirks else "")
    site = there.folder / "vendor.toml"
    site.write_text(f'extends = "{there.site}"\n[archive]\nvendor = "{vendor}"\n')
    site.chmod(0o600)
    asked = gather((), **query) if query else gather([ACC])  # type: ignore[arg-type]
    return app.load("p", asked, app.LoadOptions(workers=0), site=str(site))


def complete(loaded: app.Loaded) -> bool:
    return loaded.exit_code == 0 and bool(loaded.rows) and all(row.status is Status.OK for row in loaded.rows)


#: Quirk, as it stands in a profile -> the misbehaviour, the transport, and what is asked for.
CASES: list[tuple[str, str, str, dict[str, object]]] = [
    ("requires_study_date = true", "find-needs-date", "c-get", {}),
    ("requires_study_date = true", "find-needs-date:level=STUDY", "wado-rs", {}),
    ("universal_star = true", "find-needs-values", "c-get", {}),
    ("modality_matching = false", "find-refuses:keyword=ModalitiesInStudy", "c-get", {"modality": ["CT"]}),
    ("modality_matching = false", "find-refuses:keyword=ModalitiesInStudy", "wado-rs", {"modality": ["CT"]}),
    ("time_matching = false", "find-silence:keyword=StudyTime", "c-get", {"match": ["StudyTime=00-2359"]}),
    ("wildcards = false", "find-literal", "c-get", {"match": ["AccessionNumber=ACC3*"]}),
    ("wildcards = false", "find-literal", "wado-rs", {"match": ["AccessionNumber=ACC3*"]}),
    ('unmatched = ["StudyTime"]', "find-refuses:keyword=StudyTime", "wado-rs", {"match": ["StudyTime=00-2359"]}),
    ('unasked = ["PatientAge"]', "find-refuses:keyword=PatientAge,asked=true", "c-get", {}),
    ('unasked = ["PatientAge"]', "find-refuses:keyword=PatientAge,asked=true,code=500", "wado-rs", {}),
    ("counts = false", "find-counts:by=2", "c-get", {}),
    ("counts = false", "find-refuses:keyword=NumberOfStudyRelatedInstances,asked=true", "c-get", {}),
    ("availability = false", "find-refuses:keyword=InstanceAvailability,asked=true", "c-get", {}),
    ("image_level_find = false", "find-refuses:keyword=SOPInstanceUID,asked=true,status=0x0124", "c-get", {}),
]


@pytest.mark.parametrize(("quirk", "fault", "over", "query"), CASES)
def test_with_the_quirk_it_is_complete_and_without_it_the_fault_shows(
    there: Place, quirk: str, fault: str, over: str, query: dict[str, object]
) -> None:
    there.archive.faults.add(fault)
    try:
        without = complete(load(there, over, **query))
    except FerryError:
        without = False
    assert not without
    there.archive.faults.clear()
    there.archive.faults.add(fault)
    there.archive.log.clear()
    assert complete(load(there, over, quirk, **query))


def test_every_quirk_has_its_test() -> None:
    elsewhere = {"study_root_only", "wildcards_in_dates", "result_limit", "image_level_retrieve"}
    elsewhere |= {"one_move_at_a_time", "settle", "late_images", "uncompressed_only", "reprobe"}
    web = {"any_transfer_syntax", "available_transfer_syntax", "includefield", "page_size", "max_offset"}
    web |= {"retrieve_levels", "accept"}
    here = {case[0].split(" ")[0] for case in CASES}
    assert here | elsewhere | web >= set(Quirks.model_fields)


def test_an_archive_that_queues_is_waited_for_as_its_vendor_says() -> None:
    queued = next(one for one in vendors() if one.name == "vna-async").quirks
    assert Archive(name="a").with_quirks(queued).timeouts.quiet == queued.late_images
    assert Archive(name="a", timeouts=Timeouts(quiet=5)).with_quirks(queued).timeouts.quiet == 5


@pytest.mark.parametrize("over", ["c-get", "c-move"])
def test_without_an_instance_level_the_series_is_asked_for_again(there: Place, over: str) -> None:
    there.archive.faults.add("identifier-mismatch:level=IMAGE", "drop:nth=2,times=1")
    loaded = load(there, over, "image_level_retrieve = false")
    assert complete(loaded)
    levels = [one.level for one in there.archive.log.of(over)]
    assert "IMAGE" not in levels
    assert len(levels) > 1


def test_one_move_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = [*study(), *study("ACC301")]
    with place(tmp_path, both) as there:
        there.archive.faults.add("pause:nth=2,seconds=0.3")
        there.write(("c-move",), "[archive.quirks]\none_move_at_a_time = true")
        seen: list[int] = []
        under_way: set[object] = set()
        real = app.load
        from pacsferry.core.considerate import ConsiderateTransport
        from pacsferry.core.model import Tally

        inner: Callable[..., Tally] = ConsiderateTransport._fetch  # noqa: SLF001

        def fetch(self: ConsiderateTransport, *args: object) -> Tally:
            under_way.add(args)
            seen.append(len(under_way))
            try:
                return inner(self, *args)
            finally:
                under_way.discard(args)

        monkeypatch.setattr(ConsiderateTransport, "_fetch", fetch)
        loaded = real("p", gather([ACC, "ACC301"]), app.LoadOptions(workers=0), site=str(there.site))
        assert complete(loaded)
        assert set(seen) == {1}


def test_an_archive_that_was_overwhelmed_is_asked_once_more_after_a_pause(there: Place) -> None:
    there.archive.faults.add("nothing:times=1")
    assert complete(load(there, "c-get", 'reprobe = "100ms"\nsettle = "50ms"'))
    assert [one.level for one in there.archive.log.of("c-get")] == ["STUDY", "STUDY"]


#: Which transports of a product can be tried here; the rest of its personality is about the other protocol.
OVER = {"aws-healthimaging": "wado-rs", "azure-dicom": "wado-rs", "google-healthcare": "wado-rs", "vna-async": "c-move"}


@pytest.mark.parametrize("name", sorted(one.name for one in vendors() if one.personality))
def test_with_its_vendor_an_archive_of_that_personality_is_loaded_completely(there: Place, name: str) -> None:
    there.archive.faults.add(*ordered(SimulateOptions(personality=name), registry.load(external=False)))
    loaded = load(there, OVER.get(name, "c-get"), vendor=name)
    assert complete(loaded), loaded.rows
    assert loaded.rows[0].stored == SLICES
