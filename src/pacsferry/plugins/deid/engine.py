"""Applies compiled rules: one object in, one draft out; whatever is doubtful is held. It knows no profile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection
from typing import TypeVar

from pacsferry.core import charsets as text
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Facts, Source
from pacsferry.core.shifts import days_of

from . import filemeta, method, reference
from .checks import UID
from .choose import Chooser, Chosen, Programs
from .dates import Shifts
from .echoes import echoes
from .explain import Told, explained
from .familiar import Familiar
from .program import Op, Program, alike, element
from .recall import Memory
from .released import without
from .rules import RuleSet
from .splice import Invalid, Splice
from .subject import Subject, read, whole_number
from .writer import Writer

_INSTANCE, _STUDY, _SERIES = 0x00080018, 0x0020000D, 0x0020000E
#: What the shift of dates depends on: id and issuer of the patient, and the study where there is no id.
_PATIENT = (0x00100020, 0x00100021, _STUDY)
_RELEASED = {Op.TEXT, Op.CODE, Op.NUMBER}
T = TypeVar("T")


class Engine:
    """Applies a rule set; safe to keep for a worker's life. ``Ps315`` and other profiles differ in their rules only."""

    def __init__(self, rules: RuleSet, programs: Chooser | None = None) -> None:
        self.rules = rules
        self._programs: Chooser = programs or Programs(rules)
        self._memory = Memory()
        self._raw_uids = [
            rule.tag
            for rule in rules.rules
            if rule.vr == "UI" and rule.action == "K" and rule.tag not in reference.roles()
        ]

    def prepare(self) -> None:
        """Be ready for the first object: the tables that most of them need are read."""
        for table in (
            reference.types,
            reference.pixel_classes,
            reference.needles,
            reference.known,
            reference.understood,
        ):
            table()

    def apply(self, source: Source) -> Draft:
        """De-identify one object. Raises ``HeldError`` and nothing else."""
        return self._sure(source, lambda _subject, _chosen, draft: draft)

    def explain(self, source: Source) -> tuple[Draft, tuple[Told, ...]]:
        """The same, and what happens to each element. Raises ``HeldError`` and nothing else."""
        limits = self.rules.limits
        return self._sure(
            source,
            lambda subject, chosen, draft: (
                draft,
                explained(subject, draft, chosen.program, limits, self._programs.strangers(subject, chosen)),
            ),
        )

    def _sure(self, source: Source, use: Callable[[Subject, Chosen, Draft], T]) -> T:
        """What ``use`` makes of a draft; whatever goes wrong holds the object."""
        try:
            return use(*self._apply(source))
        except HeldError:
            raise
        except Exception as err:
            message = f"the rules failed on the object ({type(err).__name__})"
            raise HeldError(message, code="deidentifier-failed") from None

    def _apply(self, source: Source) -> tuple[Subject, Chosen, Draft]:
        subject = read(source, self.rules.limits, private=self._programs.private, memory=self._memory)
        if self.rules.shifts is not None and self.rules.shifts.mapped:
            self.shift(source, subject)  # all of a patient waits, not only what has a date
        chosen = self._programs.of(subject)
        try:
            return subject, chosen, self._draft(source, subject, chosen, None)
        except Invalid as err:
            return subject, chosen, self._draft(source, subject, chosen, err)

    def _draft(self, source: Source, subject: Subject, chosen: Chosen, again: Invalid | None) -> Draft:
        splice = _path(subject)(
            subject.scanner,
            chosen.program,
            keys=source.keys,
            pseudonym=source.pseudonym.encode("ascii"),
            writer=Writer(),
            pixel_step=subject.put_pixels,
            strict=again is not None,
            shift=lambda: self.shift(source, subject),
            echoes=echoes(subject, chosen.program),
            days=again.days if again is not None else frozenset(),
            strangers=self._programs.strangers(subject, chosen),
        )
        kept = {subject.ascii(tag) for tag in self._raw_uids}
        return _draft(source, self.rules, subject, splice, chosen, kept)

    def shift(self, source: Source, subject: Subject) -> int:
        """How many days the dates of the object's patient move: as a mapping says, else as the secret does.

        Raises ``HeldError`` for a patient whom the mapping does not name.
        """
        seen, wanted = subject.seen(), self.rules.shifts or Shifts()
        if wanted.mapped or source.shifts is not None:
            shifts = {} if source.shifts is None else source.shifts
            days = days_of(shifts, source.keys, seen.patient_id, seen.issuer)
            if days is None:
                raise HeldError("the mapping of shifts does not name the patient", code="no-shift")
            return days
        return wanted.of(source.keys, source.keys.subject(seen.patient_id, seen.issuer, seen.study_uid))


def _draft(
    source: Source, rules: RuleSet, subject: Subject, splice: Splice, chosen: Chosen, kept: Collection[str]
) -> Draft:
    """Write the file into memory, with what layouts, gates and reports need to know of it; UIDs of ``kept`` stay."""
    top = chosen.program
    instance, study, series = (_uid(subject, splice, top, tag) for tag in _HIERARCHY)
    writer = splice.writer
    writer.put_own(filemeta.beginning(subject.sop_class, instance, subject.out_syntax))
    charset = subject.charset if text.known(subject.raw(0x00080005)) else ("",)
    ours = [*_ours(rules, subject, chosen, source.pseudonym, study), *subject.tables()]
    if isinstance(splice, Familiar) and source.shifts is None:  # a table of shifts may have changed since
        splice.know(subject.layout, (source.keys, *(subject.raw(tag) for tag in _PATIENT)))
    splice.run(subject.elements, subject.dialect, subject.charset, ours)
    parts, header = writer.parts()
    return Draft(
        parts=parts,
        header=header,
        text_spans=writer.spans,
        own_spans=writer.own,
        charset=charset,
        facts=Facts(
            pseudonym=source.pseudonym,
            study_uid=study,
            series_uid=series,
            instance_uid=instance,
            sop_class=subject.sop_class,
            transfer_syntax=subject.out_syntax,
            modality=_released(subject, splice, top, 0x00080060),
            study_date=_released(subject, splice, top, 0x00080020),
            study_description=_released(subject, splice, top, 0x00081030),
            series_description=_released(subject, splice, top, 0x0008103E),
            series_number=whole_number(_released(subject, splice, top, 0x00200011)),
            instance_number=whole_number(_released(subject, splice, top, 0x00200013)),
            references=tuple(splice.references),
        ),
        seen=subject.seen(),
        needles=without(splice.haul.all(kept), subject, chosen.released, rules.limits),
    )


def _path(subject: Subject) -> type[Splice]:
    """Which way an object takes: settled by its kind before it is touched; both ways give the same bytes."""
    if subject.sop_class not in reference.understood():
        return Familiar
    # Only these objects are worth the time that it takes to load pydicom.
    from .pydicom_path import Walk

    return Walk


_HIERARCHY = {_INSTANCE: "SOPInstanceUID", _STUDY: "StudyInstanceUID", _SERIES: "SeriesInstanceUID"}


def _uid(subject: Subject, splice: Splice, top: Program, tag: int) -> str:
    """A UID of the hierarchy as it goes out: a new one, or the same where UIDs are retained."""
    original, step = subject.uid(tag), top[tag]
    if step is not None and step.op is Op.STRUCTURAL and UID.fullmatch(original):
        return original
    return splice.uid(original, _HIERARCHY[tag])


def _released(subject: Subject, splice: Splice, top: Program, tag: int) -> str:
    """A value that goes out, as it does so; else nothing."""
    step = top[tag]
    if step is None or tag not in subject.by_tag:
        return ""
    if step.op is Op.FIXED:
        return step.fixed[len(step.fixed) - step.fixed_text :].decode("ascii").strip()
    if step.op is Op.DATE:
        return (splice.moved(step.vr.decode(), subject.raw(tag).strip(b" \0"), step) or b"").decode("ascii")
    if step.op not in _RELEASED or not alike(subject.by_tag[tag][1], step.vr):
        return ""
    raw, checks = subject.raw(tag), splice.checks
    passes = {Op.CODE: checks.code, Op.NUMBER: checks.plain}.get(step.op, checks.silent)
    return subject.text(tag) if passes(raw) else ""


def _ours(rules: RuleSet, subject: Subject, chosen: Chosen, pseudonym: str, study: str) -> list[tuple[int, bytes]]:
    """The elements that are written whatever the object had, in order of their tags."""
    written = [
        (0x00100010, element(0x00100010, b"PN", pseudonym.encode("ascii"))),
        (0x00100020, element(0x00100020, b"LO", pseudonym.encode("ascii"))),
        (0x00120062, element(0x00120062, b"CS", b"YES")),
        (method.METHOD, method.text_element(chosen.method, subject.earlier_methods())),
    ]
    if codes := method.code_element(chosen.codes, subject.earlier_codes()):
        written.append((method.CODE_SEQUENCE, codes))
    study_id_rule = chosen.program.rule(0x00200010)
    if study_id_rule is not None and study_id_rule.action == "H":
        study_id = hashlib.sha256(study.encode("ascii")).hexdigest()[:8]
        written.append((0x00200010, element(0x00200010, b"SH", study_id.encode("ascii"))))
    return [*written, method.temporal_element(rules.temporal, subject.ascii(method.TEMPORAL))]
