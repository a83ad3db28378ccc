"""The budget at work: hours, bytes per minute, distress and associations, with whole loads over every transport."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from pacsferry import app
from pacsferry.core import budget as module
from pacsferry.core.errors import BusyError
from pacsferry.testing.samples import ct_study
from support.commands import call, run
from support.loading import TRANSPORTS, place

ACCESSIONS = ["ACC100", "ACC200", "ACC300"]
#: A Monday.
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
NIGHTS = 'hours = ["mon-fri 19:00-06:00"]\ntimezone = "UTC"'


@pytest.fixture
def there(tmp_path):
    objects = [
        ds
        for accession in ACCESSIONS
        for ds in ct_study(
            slices=4, rows=64, columns=64, accession=accession, patient_id=f"Q-{accession}", patient_name="Heron^O"
        )
    ]
    with place(tmp_path, objects) as made:
        yield made


@pytest.fixture
def many(tmp_path):
    accessions = [f"ACC{number}" for number in range(8)]
    objects = [
        ds
        for accession in accessions
        for ds in ct_study(
            slices=1, rows=32, columns=32, accession=accession, patient_id=f"Q-{accession}", patient_name="Heron^O"
        )
    ]
    with place(tmp_path, objects) as made:
        yield made, accessions


@pytest.fixture
def clock(monkeypatch):
    """The calendar's time, which a test moves."""

    class Clock:
        now = NOON

    one = Clock()
    monkeypatch.setattr(module, "now", lambda: one.now)
    monkeypatch.setattr(module, "_LOOK", 0.1)
    return one


def within(there, budget, over=("wado-rs",)):
    """Write the site, with more in its [budget]."""
    there.write(over)
    text = there.site.read_text().replace('back_off = "20ms"', f'back_off = "20ms"\n{budget}')
    there.site.write_text(text)


def loaded(there, *accessions, told=None, stop=None, project="p", **options):
    from pacsferry.core.query import gather

    return app.load(
        project,
        gather(accessions or ACCESSIONS),
        app.LoadOptions(**{"workers": 0, **options}),
        site=str(there.site),
        told=told or (lambda _: None),
        stop=stop,
    )


def in_thread(work):
    box = []
    thread = threading.Thread(target=lambda: box.append(work()), daemon=True)
    thread.start()
    return thread, box


# --- hours


def test_outside_the_hours_load_asks_nothing_says_until_when_and_goes_on_then(there, clock):
    within(there, NIGHTS)
    steps = []
    thread, box = in_thread(lambda: loaded(there, told=steps.append))
    while not steps:
        time.sleep(0.02)
    assert steps[0].kind == "waiting"
    assert steps[0].text.endswith("waiting until Mon 2026-11-23 19:00 UTC")
    assert there.archive.log.of() == []
    clock.now = NOON + timedelta(hours=7)
    thread.join(30)
    assert [row.status for row in box[0].rows] == ["ok"] * 3
    assert len([step for step in steps if "outside the hours" in step.text]) == 1


def test_a_clock_that_is_put_forward_or_back_is_noticed_while_waiting(there, clock):
    within(there, NIGHTS)
    steps = []
    thread, box = in_thread(lambda: loaded(there, "ACC100", told=steps.append))
    clock.now = NOON - timedelta(days=3, hours=2)  # Friday, 10:00
    while not any("Fri 2026-11-20 19:00" in step.text for step in steps):
        time.sleep(0.02)
    clock.now = NOON + timedelta(hours=10)
    thread.join(30)
    assert box[0].exit_code == 0


def test_with_no_wait_it_is_8_and_nobody_was_asked(there, clock):
    within(there, NIGHTS)
    with pytest.raises(BusyError, match="the next ones begin Mon 2026-11-23 19:00 UTC") as caught:
        loaded(there, wait=False)
    assert caught.value.exit_code == 8
    assert there.archive.log.of() == []


def test_stopping_while_waiting_for_the_hours_is_130(there, clock):
    within(there, NIGHTS)
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    done = loaded(there, stop=stop)
    assert done.exit_code == 130
    assert {row.status for row in done.rows} == {"interrupted"}
    assert there.archive.log.of() == []


def test_find_and_plan_may_ask_at_any_hour(there, clock):
    within(there, NIGHTS)
    assert call("find", "ACC100", "-s", there.site).code == 0
    document = call("plan", "p", *ACCESSIONS, "-s", there.site).document
    assert document["status"] == "ok"


@pytest.mark.parametrize("over", TRANSPORTS)
def test_at_the_end_of_the_hours_a_study_is_finished_and_the_next_one_waits(there, clock, over):
    within(there, NIGHTS + "\nassociations = 1", (over,))
    clock.now = NOON + timedelta(hours=8)
    steps = []

    def told(step):
        steps.append(step)
        if step.kind == "study-started":
            clock.now = NOON + timedelta(days=1)

    thread, box = in_thread(lambda: loaded(there, told=told))
    while not any("outside the hours" in step.text for step in steps):
        time.sleep(0.02)
    done = [step for step in steps if step.kind == "study-done"]
    assert [step.text for step in done] == ["ok"]
    while thread.is_alive():
        clock.now = NOON + timedelta(days=1, hours=8)
        time.sleep(0.1)
    assert [row.status for row in box[0].rows] == ["ok"] * 3


@pytest.mark.parametrize("over", TRANSPORTS)
def test_where_the_end_of_the_hours_aborts_the_study_is_incomplete_and_resume_completes_it(there, clock, over):
    within(there, NIGHTS + '\nhours_end = "abort"\nassociations = 1', (over,))
    clock.now = NOON + timedelta(hours=8)
    there.archive.faults.add("pause:nth=3,seconds=30,times=1")

    def told(step):
        if step.kind == "instance":
            clock.now = NOON + timedelta(days=1)

    done = loaded(there, "ACC100", told=told, wait=False)
    (row,) = done.rows
    assert (row.status, dict(row.reasons), row.retryable) == ("incomplete", {"outside-hours": row.missing}, True)
    assert done.exit_code == 5
    assert 0 < row.stored < 4
    clock.now = NOON + timedelta(days=1, hours=8)
    there.archive.log.clear()
    again = there_resumed(there)
    assert again.exit_code == 0
    assert len(there.images()) == 4
    assert len(there.archive.log.sent(over)) <= 4 - row.stored + (1 if over != "wado-rs" else 0)


def there_resumed(there):
    return app.resume("p", app.LoadOptions(workers=0), site=str(there.site))


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        ('hours = ["mo-fr 19:00-06:00"]', "budget.hours: 'mo-fr 19:00-06:00' is no window"),
        ('hours = ["mon 25:00-26:00"]', "budget.hours: 'mon 25:00-26:00': times go from 00:00"),
        ('hours = "mon"', "budget.hours: "),
        (
            'timezone = "Europe/Zurch"',
            "budget.timezone: there is no time zone 'Europe/Zurch'; did you mean 'Europe/Zurich'",
        ),
        ('hours_end = "stop"', "budget.hours_end: "),
        ('bytes_per_minute = "2 bananas"', "budget.bytes_per_minute: "),
        ("bytes_per_minute = 0", "budget.bytes_per_minute: "),
        ('bytes_per_minute = "-1GB"', "budget.bytes_per_minute: "),
        ("associations = 0", "budget.associations: "),
        ('patience = "-1s"', "budget.patience: "),
    ],
)
def test_what_makes_no_sense_is_2_and_says_what_would(there, budget, said):
    within(there, budget)
    answer = call("load", "p", "ACC100", "-s", there.site)
    assert answer.code == 2
    assert said in answer.document["error"]
    assert there.archive.log.of() == []


# --- bytes per minute


@pytest.mark.parametrize("over", TRANSPORTS)
def test_bytes_come_no_faster_than_allowed_and_slowness_of_ours_is_no_stall(tmp_path, over):
    """One image of 320 kB at 80 kB/s, where the archive may be silent for a second and a half."""
    objects = ct_study(slices=1, rows=400, columns=400, accession="ACC100", patient_id="Q", patient_name="Heron^O")
    with place(tmp_path, objects) as there:
        within(there, 'bytes_per_minute = "4800kB"', (over,))
        began = time.monotonic()
        done = loaded(there, "ACC100")
        took = time.monotonic() - began
    assert [row.status for row in done.rows] == ["ok"]
    assert took > 3.2, "320 kB at 80 kB/s are four seconds"
    assert took < 30


# --- distress


@pytest.mark.parametrize("over", ["c-get", "c-move"])
def test_a_flooded_archive_that_says_success_and_sends_nothing_is_asked_again_after_a_pause(there, over):
    within(there, "", (over,))
    there.archive.faults.add("nothing:times=1")
    there.archive.faults.add("pause:nth=1,seconds=0.1")
    done = loaded(there, "ACC100")
    assert [row.status for row in done.rows] == ["ok"]
    levels = [one.level for one in there.archive.log.of(over)]
    assert len(levels) == 2
    assert len(set(levels)) == 1, "the same request once more"
    assert "signs of distress (success without images 1 times)" in " ".join(done.verification["warnings"])
    with there.ledger() as ledger:
        assert [one.outcome for one in ledger.events() if one.action == "distress"] == ["nothing"]


def test_rejections_that_pass_are_waited_out(there):
    within(there, "associations = 1", ("c-get",))
    there.archive.faults.add("limit-associations:limit=0,times=2")
    done = loaded(there, "ACC100")
    assert [(row.status, dict(row.reasons)) for row in done.rows] == [("ok", {})]
    there.archive.faults.add("limit-associations:limit=0")
    began = time.monotonic()
    done = loaded(there, "ACC200")
    assert done.exit_code == 4
    assert dict(done.rows[0].reasons) == {"refused-association": 1}
    assert time.monotonic() - began < 10


def test_while_the_archive_is_in_distress_studies_wait_and_then_come(many):
    """Overloaded for a while: once one request tries for all, no study is given up any more."""
    there, accessions = many
    within(there, "associations = 1")
    there.site.write_text(there.site.read_text().replace('use = "wado-rs"', 'use = "wado-rs"\nmax_tries = 1'))
    there.archive.faults.add("http-503:retry_after=0,times=7,verb=wado-rs")
    steps = []
    done = loaded(there, *accessions, told=steps.append)
    assert [row.status for row in sorted(done.rows, key=lambda row: row.request)] == ["failed"] * 2 + ["ok"] * 6
    assert done.exit_code == 5
    assert any("shows signs of distress (http-503" in step.text for step in steps)
    assert any("signs of distress" in text for text in done.verification["warnings"])
    assert there_resumed(there).exit_code == 0


def test_an_archive_that_does_not_get_better_ends_with_4(many):
    there, accessions = many
    within(there, 'associations = 1\npatience = "1s"')
    there.site.write_text(there.site.read_text().replace('use = "wado-rs"', 'use = "wado-rs"\nmax_tries = 1'))
    there.archive.faults.add("http-503:retry_after=0,verb=wado-rs")
    steps = []
    began = time.monotonic()
    done = loaded(there, *accessions, told=steps.append)
    assert done.exit_code == 4
    assert "distress" in {code for row in done.rows for code in row.reasons}
    assert all(row.retryable for row in done.rows)
    assert time.monotonic() - began < 40
    there.archive.faults.clear()
    there.site.write_text(there.site.read_text().replace('patience = "1s"', 'patience = "60s"'))
    again = there_resumed(there)
    assert again.exit_code == 0


# --- associations


class Counting:
    """A relay that knows from when to when each connection was open."""

    def __init__(self, port):
        self._to, self.spans = port, []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client):
        began = time.monotonic()
        with client, socket.create_connection(("127.0.0.1", self._to)) as server, contextlib.suppress(OSError):
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            self.spans.append((began, time.monotonic()))
            back.join(5)

    def overlaps(self):
        """How long, at most, two were open at once; what it takes to notice an end counts, too."""
        spans = sorted(self.spans)
        return max((a_end - b_began for (_, a_end), (b_began, _) in zip(spans, spans[1:], strict=False)), default=0)

    def _pump(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def test_one_association_means_one_queries_included(there):
    relay = Counting(there.archive.dimse_port)
    try:
        within(there, "associations = 1", ("c-get",))
        text = there.site.read_text().replace(f"port = {there.archive.dimse_port}", f"port = {relay.port}")
        there.site.write_text(text.replace("[archive.dicomweb]", "[find]\nuse = 'c-find'\n[archive.dicomweb]"))
        both = [in_thread(lambda n=n: loaded(there, project=f"p{n}")) for n in range(2)]
        for thread, _ in both:
            thread.join(60)
        assert [box[0].exit_code for _, box in both] == [0, 0]
        assert len(relay.spans) >= 8
        assert relay.overlaps() < 0.5, sorted(relay.spans)
    finally:
        relay.close()


# --- plan


def test_plan_tells_how_long_it_will_take(there):
    within(there, 'bytes_per_minute = "1MB"\nbatch_size = 1', ())
    there.write(("wado-rs",))
    text = there.site.read_text().replace(
        'batch_wait = "0s"', 'batch_wait = "10s"\nbatch_size = 1\nbytes_per_minute = "1MB"'
    )
    there.site.write_text(text)
    document = call("plan", "p", *ACCESSIONS, "-s", there.site).document
    assert document["bytes"] == 3 * 4 * 530_000
    assert document["bytes_from"] == "table"
    assert document["pauses_s"] == 30
    assert document["time_s"] == pytest.approx(document["bytes"] / 1e6 * 60 + 30, abs=1)
    left = datetime.fromisoformat(document["ends_at"]) - datetime.now(UTC)
    assert left.total_seconds() == pytest.approx(document["time_s"], abs=30)
    table = call("plan", "p", *ACCESSIONS, "-s", there.site, "--format", "table").out
    assert "Estimate: about 6.4 MB" in table
    assert "under the budget, with 30 s of pauses" in table


def test_plan_learns_from_what_came(there):
    within(there, "")
    loaded(there, "ACC100")
    document = call("plan", "p", "ACC100", "ACC200", "-s", there.site).document
    assert document["bytes_from"] == "history"
    assert 4 * 8192 < document["bytes"] < 4 * 12000
    nothing = call("plan", "p", "ACC100", "-s", there.site).document
    assert (nothing["bytes"], nothing["time_s"], nothing["starts_at"], nothing["ends_at"]) == (0, 0, None, None)


def test_plan_knows_the_calendar(there):
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    within(there, f'hours = ["{tomorrow:%a} 03:00-04:00"]\ntimezone = "UTC"')
    document = call("plan", "p", "ACC100", "-s", there.site).document
    assert document["starts_at"] == f"{tomorrow:%Y-%m-%d}T03:00:00+00:00"
    assert document["ends_at"] >= document["starts_at"]
    assert 24 * 3600 < document["time_s"] < 3 * 24 * 3600


def test_it_is_shown_by_the_command_as_an_event(there):
    tomorrow = datetime.now(UTC) + timedelta(days=2)
    within(there, f'hours = ["{tomorrow:%a} 03:00-04:00"]\ntimezone = "UTC"')
    answer = run("load", "p", "ACC100", "-s", there.site, "--no-wait", "--events", cwd=there.folder)
    assert answer.code == 8
    assert answer.document["code"] == 8
    assert json.loads(answer.out)["hint"]
