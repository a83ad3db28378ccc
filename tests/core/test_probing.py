"""What is asked of any archive, against archives in memory that answer by the book, or not."""

from datetime import date

from pacsferry.core.errors import TransferError
from pacsferry.core.model import Level
from pacsferry.core.ports import Standing
from pacsferry.core.probing import Inquiry, Reply
from pacsferry.core.probing_words import LIMIT, SMALL

TODAY = date(2026, 5, 20)
USUAL = {
    Level.STUDY: ("StudyInstanceUID", "PatientAge"),
    Level.SERIES: ("SeriesInstanceUID", "Modality"),
    Level.IMAGE: ("SOPInstanceUID", "AvailableTransferSyntaxUID"),
}


def studies(count, *, day="20260519", images=2):
    return [
        {
            "StudyInstanceUID": f"1.{number}",
            "StudyDate": day if isinstance(day, str) else day(number),
            "StudyTime": "101112",
            "AccessionNumber": f"ACC{number:04}",
            "PatientID": f"PAT{number:04}",
            "PatientName": "CANARY",
            "StudyDescription": "HEAD",
            "ModalitiesInStudy": "CT",
            "NumberOfStudyRelatedSeries": "1",
            "NumberOfStudyRelatedInstances": str(images),
        }
        for number in range(1, count + 1)
    ]


class Archive:
    """Answers in memory; subclasses misbehave. ``asked`` has every question."""

    usual = USUAL

    def __init__(self, held, cap=None, images=2):
        self.held, self.cap, self.images, self.asked = held, cap, images, []

    def ask(self, level, keys, *, limit):
        self.asked.append((level, dict(keys), limit))
        return self.reply(level, {name: text for name, text in keys.items() if text}, limit)

    def reply(self, level, keys, limit):
        found = self.found(level, keys)
        found = found[: self.cap] if self.cap else found
        return Reply(answers=tuple(found[:limit]), cut=len(found) >= limit)

    def found(self, level, keys):
        return [one for one in self.rows(level, keys) if all(self.fits(one, *pair) for pair in keys.items())]

    def rows(self, level, keys):
        if level is Level.STUDY:
            return self.held
        return [
            row
            for one in self.held
            if keys.get("StudyInstanceUID") == one["StudyInstanceUID"]
            for row in self.below(level, one)
        ]

    def below(self, level, one):
        uid = one["StudyInstanceUID"]
        series = {"StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "Modality": "CT", "SeriesNumber": "1"}
        if level is Level.SERIES:
            return [{**series, "NumberOfSeriesRelatedInstances": str(self.images)}]
        return [
            {**series, "SOPInstanceUID": f"{uid}.1.{n}", "SOPClassUID": "1.2.840"} for n in range(1, self.images + 1)
        ]

    def fits(self, one, name, text):
        value = one.get(name, "")
        if name == "StudyDate" and "-" in text:
            first, _, last = text.partition("-")
            return (first or "0") <= value <= (last or "9")
        if text.endswith("*"):
            return value.startswith(text[:-1])
        return value == text


def examined(archive):
    inquiry = Inquiry(archive, "dimse.find", today=TODAY)
    return {one.probe.removeprefix("dimse.find."): one for one in inquiry.findings()}


def quirks(found):
    return {name: value for one in found.values() for name, value in one.quirks.items()}


def behaviour(found):
    return {name: value for one in found.values() for name, value in one.behaviour.items()}


def test_an_archive_by_the_book_has_no_warning():
    found = examined(Archive(studies(20)))
    assert {one.status for one in found.values()} == {Standing.OK}
    assert quirks(found)["image_level_find"] is True
    assert behaviour(found)["dimse.find.keys.AccessionNumber"] == "matched"


def test_every_question_has_a_date_or_a_uid_or_an_accession_number_and_a_limit():
    archive = Archive(studies(20))
    examined(archive)
    for _, keys, limit in archive.asked:
        narrow = {"StudyDate", "StudyInstanceUID", "AccessionNumber"} & {name for name, text in keys.items() if text}
        assert narrow
        assert 1 <= limit <= LIMIT
    assert len(archive.asked) < 60


def test_few_days_are_asked_for_before_many():
    archive = Archive(studies(20))
    examined(archive)
    assert archive.asked[0][1]["StudyDate"] == "20260519-20260520"
    assert all(keys.get("StudyDate") != "19000101-" for _, keys, _ in archive.asked)


def test_no_finding_holds_a_value_of_an_answer():
    found = examined(Archive(studies(20)))
    told = repr(found)
    assert not any(value in told for value in ("ACC00", "PAT00", "CANARY", "20260519"))


def test_samples_are_small_and_named_by_what_the_archive_lists():
    found = examined(Archive(studies(3)))
    samples = found["levels"].samples
    assert [one.level for one in samples] == [Level.IMAGE, Level.SERIES, Level.STUDY]
    assert all(one.expected <= SMALL for one in samples)


def test_of_a_big_series_only_one_instance_is_retrieved():
    found = examined(Archive(studies(3, images=150), images=150))
    assert [one.level for one in found["levels"].samples] == [Level.IMAGE]


def test_a_key_that_is_ignored_is_noticed():
    class Ignores(Archive):
        def fits(self, one, name, text):
            return name == "PatientName" or super().fits(one, name, text)

    found = examined(Ignores(studies(14)))
    assert found["keys.PatientName"].status is Standing.WARNING
    assert behaviour(found)["dimse.find.keys.PatientName"] == "ignored"
    assert "unmatched" not in quirks(found)


def test_a_key_that_makes_a_query_fail_is_not_asked_for_again():
    class Refuses(Archive):
        def reply(self, level, keys, limit):
            return Reply(refused="no") if "StudyDescription" in keys else super().reply(level, keys, limit)

    found = examined(Refuses(studies(14)))
    assert behaviour(found)["dimse.find.keys.StudyDescription"] == "refused"
    assert quirks(found)["unmatched"] == ["StudyDescription"]


def test_a_key_that_finds_nothing_even_with_the_right_value_is_filtered_here():
    class Blind(Archive):
        def fits(self, one, name, text):
            return name != "ModalitiesInStudy" and super().fits(one, name, text)

    found = examined(Blind(studies(14)))
    assert found["keys.ModalitiesInStudy"].status is Standing.WARNING
    assert quirks(found)["modality_matching"] is False


def test_an_implicit_wildcard_is_noticed():
    class Contains(Archive):
        def fits(self, one, name, text):
            return text in one[name] if name == "AccessionNumber" else super().fits(one, name, text)

    assert behaviour(examined(Contains(studies(14))))["dimse.find.keys.AccessionNumber"] == "contains"


def test_wildcards_that_do_not_match_are_noticed():
    class Literal(Archive):
        def fits(self, one, name, text):
            return one.get(name) == text if "*" in text else super().fits(one, name, text)

    found = examined(Literal(studies(14)))
    assert quirks(found)["wildcards"] is False


def test_a_silent_cap_is_noticed_by_the_halves_of_a_range():
    found = examined(Archive(studies(30, day=lambda number: f"202605{number % 20 + 1:02}"), cap=13))
    assert behaviour(found)["dimse.find.cap"] == 13
    assert quirks(found)["result_limit"] == 13


def test_a_cap_on_one_day_is_noticed_by_a_wider_range():
    held = [*studies(20, day="20260519"), *studies(40, day="20260101")[20:]]
    assert quirks(examined(Archive(held, cap=20)))["result_limit"] == 20


def test_a_round_number_of_studies_alone_is_no_cap():
    found = examined(Archive(studies(20)))
    assert found["cap"].status is Standing.OK
    assert "result_limit" not in quirks(found)


def test_an_archive_that_wants_a_date_is_noticed():
    class Dated(Archive):
        def reply(self, level, keys, limit):
            if level is Level.STUDY and "StudyDate" not in keys:
                return Reply()
            return super().reply(level, keys, limit)

    assert quirks(examined(Dated(studies(14))))["requires_study_date"] is True


def test_stars_are_tried_where_empty_keys_are_refused():
    class Stars(Archive):
        def ask(self, level, keys, *, limit):
            self.asked.append((level, dict(keys), limit))
            if keys.get("PatientName") == "" and level is Level.STUDY:
                return Reply(refused="empty")
            return self.reply(level, {name: text for name, text in keys.items() if text not in {"", "*"}}, limit)

    found = examined(Stars(studies(14)))
    assert quirks(found)["universal_star"] is True
    assert behaviour(found)["dimse.find.empty_keys"] is False


def test_an_archive_without_image_level_is_believed_by_its_counts():
    class Coarse(Archive):
        def reply(self, level, keys, limit):
            return Reply(refused="level") if level is Level.IMAGE else super().reply(level, keys, limit)

    found = examined(Coarse(studies(14)))
    assert quirks(found)["image_level_find"] is False
    assert [one.level for one in found["levels"].samples] == [Level.SERIES, Level.STUDY]


def test_a_return_key_that_makes_queries_fail_is_found():
    class Picky(Archive):
        def ask(self, level, keys, *, limit):
            if "AvailableTransferSyntaxUID" in keys:
                return Reply(refused="field")
            return super().ask(level, keys, limit=limit)

    assert quirks(examined(Picky(studies(14))))["available_transfer_syntax"] is False


def test_an_empty_archive_is_unknown_and_nothing_more_is_asked():
    archive = Archive([])
    found = examined(archive)
    assert [one.status for one in found.values()] == [Standing.UNKNOWN]
    assert len(archive.asked) < 10


def test_a_key_at_which_the_archive_falls_silent_does_not_end_the_rest():
    class Silent(Archive):
        def reply(self, level, keys, limit):
            if "StudyTime" in keys:
                raise TransferError("silence", code="stalled")
            return super().reply(level, keys, limit)

    found = examined(Silent(studies(14)))
    assert quirks(found)["time_matching"] is False
    assert found["keys.Modality"].status is Standing.OK


def test_an_answer_never_given_is_named():
    class Scant(Archive):
        def below(self, level, one):
            return [
                {name: text for name, text in row.items() if name != "SOPClassUID"} for row in super().below(level, one)
            ]

    assert behaviour(examined(Scant(studies(14))))["dimse.find.lacks"] == ["SOPClassUID"]
