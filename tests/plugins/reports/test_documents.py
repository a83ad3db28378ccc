import json

from pacsferry.core import registry
from pacsferry.core.documents import advice, gaps, load_document
from pacsferry.core.model import Row, Status
from pacsferry.core.strict import NoSettings
from support.summaries import ROWS, row, summary


def written(name, **fields):
    offer = registry.load(external=False).named("report", name)
    return registry.resolve(offer.build)(NoSettings()).write(summary(**fields))


def test_private_load_json_is_the_load_document_as_asked():
    files = written("json", identified=True)
    assert list(files) == ["reports/load.json"]
    told = json.loads(files["reports/load.json"])
    assert (told["schema"], told["version"], told["status"]) == ("pacsferry.load", 1, "incomplete")
    assert [one["accession"] for one in told["results"]] == [one.accession for one in ROWS]
    assert told["results"][1]["reasons"] == [{"code": "sop-class", "count": 1}, {"code": "stalled", "count": 5}]
    assert told == load_document(
        project="lungs", run="run-1", status="incomplete", rows=ROWS,
        verification=summary(identified=True).verification,
    )  # fmt: skip


def test_released_files_name_no_accession_request_or_message():
    for name in ("json", "csv", "html"):
        whole = b"".join(written(name, identified=False).values())
        assert b"ACC-" not in whole
        assert b"@SUM" not in whole
        assert b"could not be reached" not in whole


def test_released_rows_are_in_an_order_that_tells_nothing_of_the_request():
    there = written("json", identified=False)
    back = written("json", identified=False, rows=tuple(reversed(ROWS)))
    assert there == back
    assert "request" not in json.loads(there["reports/summary.json"])["results"][0]


def test_the_summary_still_counts_requests_that_found_nothing():
    told = json.loads(written("json", identified=False)["reports/summary.json"])
    assert told["outcomes"] == {"failed": 1, "held": 1, "incomplete": 1, "not_found": 1, "ok": 1, "waived": 1}
    assert told["verification"]["total_requested"] == 6
    assert [one["case_id"] for one in told["results"]] == ["case0001", "case0002", "case0003", "case0004"]


def test_a_manifest_lists_every_file_with_its_digest_and_the_rules():
    files = written("json", identified=False)
    manifest = json.loads(files["reports/manifests/2.25.998.json"])
    assert (manifest["schema"], manifest["case_id"]) == ("pacsferry.manifest", "case0002")
    assert manifest["rules_digest"] == "ab" * 32
    assert manifest["pacsferry"] == "9.9.9"
    account = {key: manifest[key] for key in ("evidence", "expected", "stored", "held", "missing", "excluded")}
    row = next(one for one in ROWS if one.study_uid == "2.25.998")
    assert account == {key: getattr(row, key) for key in account}
    assert manifest["described"] == ["All private elements are removed."]
    assert [one["path"] for one in manifest["instances"]] == sorted(one["path"] for one in manifest["instances"])
    assert len(manifest["instances"]) == 14
    assert "reports/manifests/2.25.997.json" not in files


def test_a_manifest_does_not_depend_on_run_or_time():
    first = written("json", identified=False)["reports/manifests/2.25.999.json"]
    again = written("json", identified=False, run="run-2", command="resume")["reports/manifests/2.25.999.json"]
    assert first == again


def test_gaps_are_counted_by_reason_without_what_was_waived():
    assert [(gap.code, gap.count) for gap in gaps(ROWS)] == [("burned-in", 30), ("stalled", 5), ("sop-class", 1)]
    assert gaps([row(1, reasons={"of-a-plugin": 2})])[0].means == "an unknown reason"


def test_the_advice_fits_what_is_left():
    gone = Row(request=1, accession="A", status=Status.NOT_FOUND)
    assert advice("p", [row(1), row(2, status=Status.WAIVED)]) is None
    assert "pacsferry resume p" in advice("p", ROWS)
    assert "--again not_found" in advice("p", [row(1), gone])
    assert "status p --problems" in advice("p", [row(1, status=Status.HELD)])
