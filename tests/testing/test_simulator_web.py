"""The embedded archive over DICOMweb: right when it behaves, wrong in exactly the way that was ordered."""

import time

import pytest
import requests

from pacsferry.testing.samples import compressed_study, ct_study, implicit, mr_study, part10
from pacsferry.testing.simulator import Simulator

STUDY = ct_study(slices=4, rows=32, columns=32)
SQUEEZED = compressed_study("jpeg2000-lossless", slices=2)
FILES = [part10(ds) for ds in STUDY]
STAR = 'multipart/related; type="application/dicom"; transfer-syntax=*'
PLAIN = 'multipart/related; type="application/dicom"'


@pytest.fixture
def sim():
    with Simulator([*STUDY, *SQUEEZED, *implicit(mr_study(slices=1, series=1, rows=16, columns=16))]) as sim:
        yield sim
        assert not sim.log.errors


@pytest.fixture
def ask(sim):
    with requests.Session() as session:
        yield lambda path, accept=STAR, **keys: session.get(
            sim.dicomweb_url + path, params=keys, headers={"Accept": accept}, timeout=5, allow_redirects=False
        )


def study(ds=STUDY[0]):
    return f"/studies/{ds.StudyInstanceUID}"


def series(ds=STUDY[0]):
    return f"{study(ds)}/series/{ds.SeriesInstanceUID}"


def instance(ds=STUDY[0]):
    return f"{series(ds)}/instances/{ds.SOPInstanceUID}"


def parts(answer):
    """The bodies of a well-formed multipart answer."""
    boundary = answer.headers["Content-Type"].partition('boundary="')[2].rstrip('"').encode()
    *between, end = answer.content.split(b"\r\n--" + boundary)
    assert end == b"--\r\n"
    return [part.partition(b"\r\n\r\n")[2] for part in between if part]


# --- query ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        ({}, 3),
        ({"AccessionNumber": "ACC0001"}, 1),
        ({"00080050": "ACC0001"}, 1),
        ({"AccessionNumber": "ACC*"}, 3),
        ({"StudyDate": "20240517-20240520"}, 1),
        ({"StudyInstanceUID": f"{STUDY[0].StudyInstanceUID},{SQUEEZED[0].StudyInstanceUID}"}, 2),
        ({"limit": 2}, 2),
        ({"limit": 2, "offset": 2}, 1),
        ({"ModalitiesInStudy": "MR"}, 2),
    ],
)
def test_studies_match_and_are_paged(ask, keys, found):
    answer = ask("/studies", **keys)
    assert answer.headers["Content-Type"] == "application/dicom+json"
    assert len(answer.json()) == found


def test_no_match_is_no_content(ask):
    answer = ask("/studies", AccessionNumber="NOBODY")
    assert (answer.status_code, answer.content) == (204, b"")


def test_every_level_and_included_fields(ask, sim):
    (one,) = ask(f"{study()}/series", includefield="BodyPartExamined,00081090").json()
    assert one["00180015"]["Value"] == ["ABDOMEN"]
    assert one["00081090"]["Value"] == ["Scow 64"]
    found = ask(f"{series()}/instances").json()
    assert [each["00080018"]["Value"][0] for each in found] == [ds.SOPInstanceUID for ds in STUDY]
    assert len(ask(f"{study()}/instances").json()) == 4
    assert len(ask("/instances").json()) == 7
    assert [one.level for one in sim.log.of("qido-rs")] == ["SERIES", "IMAGE", "IMAGE", "IMAGE"]


def test_what_is_not_there(ask):
    assert ask("/studies/1.2.3").status_code == 404
    assert ask("/studies/*").status_code == 404
    assert ask("/nonsense").status_code == 404


# --- retrieve -------------------------------------------------------------------------------------------------------


def test_objects_come_as_they_are_stored(ask, sim):
    assert parts(ask(study())) == FILES
    assert parts(ask(series())) == FILES
    assert parts(ask(instance())) == FILES[:1]
    assert parts(ask(study(SQUEEZED[0]))) == [part10(ds) for ds in SQUEEZED]
    assert [(one.verb, one.level) for one in sim.log.of()] == [
        ("wado-rs", "STUDY"), ("wado-rs", "SERIES"), ("wado-rs", "IMAGE"), ("wado-rs", "STUDY"),
    ]  # fmt: skip
    assert sim.log.sent("wado-rs")[:4] == [ds.SOPInstanceUID for ds in STUDY]


@pytest.mark.parametrize(
    ("accept", "which", "status"),
    [
        (PLAIN, STUDY, 200),
        (PLAIN, SQUEEZED, 406),
        (f"{PLAIN}; transfer-syntax=1.2.840.10008.1.2.4.90", SQUEEZED, 200),
        (f"{PLAIN}; transfer-syntax=1.2.840.10008.1.2.4.90", STUDY, 406),
        (f"{PLAIN}; transfer-syntax=1.2.840.10008.1.2.4.50, {STAR}", STUDY, 200),
        ("application/dicom", STUDY, 406),
        ("text/html", STUDY, 406),
        ("*/*", STUDY, 200),
    ],
)
def test_the_accept_header_is_honoured(ask, accept, which, status):
    assert ask(study(which[0]), accept).status_code == status


def test_one_instance_comes_bare(ask):
    answer = ask(instance(), "application/dicom")
    assert answer.headers["Content-Type"] == "application/dicom"
    assert answer.content == FILES[0]


def test_implicit_objects_become_explicit_where_that_is_asked_for(ask, sim):
    (stored,) = (one for one in sim.holdings.all() if one.header.AccessionNumber == "ACC0002")
    (explicit,) = parts(ask(f"/studies/{stored.study}", PLAIN))
    (as_stored,) = parts(ask(f"/studies/{stored.study}"))
    assert as_stored == bytes(stored.data) != explicit


def test_metadata_has_no_pixels(ask):
    found = ask(f"{study()}/metadata", "application/dicom+json").json()
    assert len(found) == 4
    assert all("7FE00010" not in one for one in found)


# --- faults ---------------------------------------------------------------------------------------------------------


def test_503_then_200(ask, sim):
    sim.faults.add("http-503:times=1")
    answer = ask(study())
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    assert parts(ask(study())) == FILES


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 429, 500, 503, 204])
def test_every_status_can_be_ordered(ask, sim, status):
    sim.faults.add(f"http-{status}")
    assert ask("/studies").status_code == status


def test_half_an_answer(ask, sim):
    sim.faults.add("http-206")
    answer = ask(study())
    assert (answer.status_code, parts(answer)) == (206, FILES[:2])


@pytest.mark.parametrize(("fault", "whole"), [("cut:nth=3,at=after", 3), ("cut:nth=3,at=middle", 2), ("cut", 0)])
def test_a_cut_multipart_ends_without_an_error(ask, sim, fault, whole):
    sim.faults.add(fault)
    answer = ask(study())
    assert answer.status_code == 200
    assert b"--\r\n" not in answer.content[-10:]
    assert sum(file in answer.content for file in FILES) == whole


@pytest.mark.parametrize("fault", ["abort:nth=2", "reset:nth=2"])
def test_a_broken_connection_is_an_error_of_http(ask, sim, fault):
    sim.faults.add(fault)
    with pytest.raises(requests.RequestException):
        ask(study())


def test_silence_keeps_the_connection(sim):
    sim.faults.add("silence:nth=2")
    started = time.monotonic()
    with pytest.raises(requests.RequestException):
        requests.get(sim.dicomweb_url + study(), headers={"Accept": STAR}, timeout=0.5)
    assert time.monotonic() - started > 0.4


@pytest.mark.parametrize("fault", ["silence", "abort", "reset", "cut"])
def test_a_bare_object_breaks_off_too(sim, fault):
    sim.faults.add(fault)
    with pytest.raises(requests.RequestException):
        requests.get(sim.dicomweb_url + instance(), headers={"Accept": "application/dicom"}, timeout=0.5)


@pytest.mark.parametrize(
    ("fault", "count"),
    [("drop:nth=2", 3), ("duplicate:nth=2", 5), ("stranger:nth=2", 5), ("stranger:nth=2,instead=1", 4)],
)
def test_other_objects_come(ask, sim, fault, count):
    sim.faults.add(fault)
    assert len(parts(ask(study()))) == count


def test_nothing_comes(ask, sim):
    sim.faults.add("nothing")
    assert (ask(study()).status_code, sim.log.sent()) == (204, [])


def test_oddities_of_servers(ask, sim):
    for fault, look in {
        "no-star": lambda: ask(study()).status_code == 406,
        "single-part": lambda: ask(study()).content == FILES[0],
        "login-page": lambda: ask(study()).headers["Content-Type"] == "text/html",
        "redirect": lambda: (
            (ask(study()).status_code, ask(study()).headers["Location"]) == (302, "http://127.0.0.1:9/")
        ),
        "warning-299": lambda: ask("/studies").headers["Warning"].startswith("299"),
        "find-cap:limit=1": lambda: len(ask("/studies").json()) == 1,
        "find-twice": lambda: len(ask("/studies").json()) == 6,
    }.items():
        sim.faults.clear()
        sim.faults.add(fault)
        assert look(), fault
    sim.faults.clear()
    sim.faults.add("bad-json")
    with pytest.raises(ValueError):
        ask("/studies").json()


def test_a_slow_server_takes_its_time(ask, sim):
    sim.faults.add("slow:rate=20000")
    started = time.monotonic()
    assert parts(ask(study())) == FILES
    assert time.monotonic() - started > 0.6


def test_it_says_nothing_of_what_it_is_asked(ask, sim, capfd, caplog):
    with caplog.at_level("DEBUG", logger="pacsferry"):
        ask("/studies", PatientName="Quayside*")
        ask(instance())
    assert capfd.readouterr() == ("", "")
    assert "Quayside" not in caplog.text.replace("urllib3", "") or all(
        r.name.startswith("urllib3") for r in caplog.records
    )
