"""``doctor`` against real archives, by the installed command; the profiles that it writes then load everything."""

import json

from pacsferry.testing.samples import ct_study, mr_study
from support.commands import run
from support.peers import free_port

OBJECTS = [
    *ct_study(slices=3, rows=32, columns=32, accession="ACC100", patient_id="CANARYID7", patient_name="Canary^Anna"),
    *mr_study(slices=2, rows=32, columns=32, accession="ACC200", patient_id="QUAY-0009", patient_name="Heron^Otto"),
]
CANARIES = ("CANARYID7", "Canary", "QUAY-0009", "Heron", "ACC100", "ACC200", OBJECTS[0].StudyInstanceUID)


def examined(tmp_path, *words):
    told = run("doctor", *words, "--write", "found.toml", "--yes", "--json", cwd=tmp_path, timeout=120)
    assert not any(canary in told.out + told.err for canary in CANARIES)
    return told, {one["probe"]: one for one in told.document["findings"]}


def loaded(tmp_path, project, *more):
    told = run("load", project, "ACC100", "ACC200", "-s", "./found.toml", "--json", *more, cwd=tmp_path, timeout=120)
    return told.code, [row["stored"] for row in json.loads(told.out)["results"]]


def test_an_unregistered_receiver_at_orthanc_is_told_and_then_everything_works(orthanc, tmp_path):
    orthanc.clear()
    orthanc.unregister("PACSFERRY")
    orthanc.upload(OBJECTS)
    port = free_port()
    words = ("--dimse", f"ORTHANC@{orthanc.host}:{orthanc.dicom_port}", "--dicomweb", orthanc.dicomweb_url)
    words += ("--receiver", f"PACSFERRY@127.0.0.1:{port}")
    told, found = examined(tmp_path, *words)
    assert (told.code, told.document["status"]) == (0, "incomplete")
    assert told.document["transports"] == ["wado-rs", "c-get"]
    assert "PACSFERRY is not registered in the archive" in found["dimse.move.destination"]["text"]
    assert f'["PACSFERRY", "address of this machine", {port}]' in found["dimse.move.destination"]["advice"]
    assert "DicomModalities" in " ".join(told.document["letter"].split())
    assert loaded(tmp_path, "before") == (0, [3, 4])

    orthanc.register("PACSFERRY", port)
    told, found = examined(tmp_path, *words)
    orthanc.unregister("PACSFERRY")
    assert (told.code, told.document["status"]) == (0, "ok")
    assert told.document["transports"] == ["wado-rs", "c-get", "c-move"]
    assert told.document["vendor"] == "orthanc"
    assert run("check", "-s", "./found.toml", cwd=tmp_path).code == 0
    assert loaded(tmp_path, "get", "--set", 'transport=[{ use = "c-get" }]') == (0, [3, 4])


def test_dcmqrscp_gets_a_profile_that_works(dcmqrscp, tmp_path):
    dcmqrscp.clear()
    dcmqrscp.store(OBJECTS)
    words = ("--dimse", f"{dcmqrscp.aet}@{dcmqrscp.host}:{dcmqrscp.port}")
    told, found = examined(tmp_path, *words, "--receiver", f"PACSFERRY@127.0.0.1:{dcmqrscp.receiver_port}")
    assert (told.code, told.document["transports"]) == (0, ["c-get", "c-move"])
    assert "SOPClassUID" in found["dimse.find.lacks"]["text"]
    assert loaded(tmp_path, "all") == (0, [3, 4])
    assert loaded(tmp_path, "move", "--set", 'transport=[{ use = "c-move" }]') == (0, [3, 4])
    told, found = examined(tmp_path, *words, "--receiver", f"NOBODY@127.0.0.1:{free_port()}")
    assert "does not know NOBODY" in found["dimse.move.destination"]["text"]


def test_dcmqrscp_without_study_root_is_told_and_gets_no_profile(make_dcmqrscp, tmp_path):
    archive = make_dcmqrscp("-QS")
    archive.store(OBJECTS[:1])
    told, found = examined(tmp_path, "--dimse", f"{archive.aet}@{archive.host}:{archive.port}")
    assert (told.code, told.document["transports"], told.document["profile"]) == (5, [], None)
    assert found["dimse.models"]["text"].endswith("the Patient Root model is used")
    assert "patient's ID in each query" in found["dimse.find.patient-root"]["text"]
    assert "Study Root model" in told.document["letter"]
