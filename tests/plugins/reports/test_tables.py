import csv
import io

from pacsferry.core import registry
from pacsferry.core.strict import NoSettings
from support.summaries import ROWS, row, summary


def written(name, **fields):
    offer = registry.load(external=False).named("report", name)
    return registry.resolve(offer.build)(NoSettings()).write(summary(**fields))


def lines(content):
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_key_has_exactly_its_columns_and_a_line_per_study():
    files = written("key", identified=True)
    assert list(files) == ["key.csv"]
    head, *rest = files["key.csv"].decode().splitlines()
    assert head == "case_id,accession,study_date,modality,description,series_count,image_count"
    assert rest[0] == "case0001,ACC-001,,CT,,2,10"
    assert len(rest) == 4


def test_key_is_never_released():
    assert written("key", identified=False) == {}


def test_private_table_has_every_row_as_asked():
    told = lines(written("csv", identified=True)["reports/load.csv"])
    assert [one["status"] for one in told] == [str(one.status) for one in ROWS]
    assert told[1]["reasons"] == "sop-class: 1; stalled: 5"
    assert told[0]["transports"] == "wado-rs"
    assert told[1]["retryable"] == "true"


def test_released_table_has_studies_only():
    told = lines(written("csv", identified=False)["reports/summary.csv"])
    assert [one["case_id"] for one in told] == ["case0001", "case0002", "case0003", "case0004"]
    assert not {"request", "accession", "error"} & set(told[0])


def test_no_cell_is_a_formula():
    told = lines(written("csv", identified=True)["reports/load.csv"])
    assert told[1]["description"].startswith("'=HYPERLINK")
    assert told[5]["accession"] == "'@SUM(1)"


def test_an_accession_that_cannot_be_run_stays_as_it_is():
    rows = (row(1, accession="-12.3/A"), row(2, accession="+41"))
    told = lines(written("key", identified=True, rows=rows)["key.csv"])
    assert [one["accession"] for one in told] == ["-12.3/A", "+41"]


def test_commas_quotes_and_line_breaks_stay_in_their_cell():
    rows = (row(1, description='A, "B"\nC'),)
    assert lines(written("csv", identified=False, rows=rows)["reports/summary.csv"])[0]["description"] == 'A, "B"\nC'
