"""The anonymization profile ``ps3.15``: one object in, one draft out; whatever is doubtful is held."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from pacsferry.core import charsets as text
from pacsferry.core.errors import HeldError
from pacsferry.core.model import Draft, Facts, Source

from . import filemeta, method, reference
from .describe import sentences
from .program import Op, Program, element, index
from .rules import RuleSet, compile_basic
from .settings import Ps315Settings
from .splice import Invalid, Splice
from .subject import Subject, read
from .writer import Writer

_INSTANCE, _STUDY, _SERIES = 0x00080018, 0x0020000D, 0x0020000E
_RELEASED = {Op.TEXT, Op.CODE, Op.NUMBER}


class Ps315:
    """Built from settings; safe to keep for a worker's life."""

    def __init__(self, settings: Ps315Settings | None = None) -> None:  # noqa: ARG002 - options come with later versions
        self.rules: RuleSet = compile_basic()
        self._index = index(self.rules)
        self._programs: dict[tuple[str, bool], Program] = {}

    @property
    def digest(self) -> str:
        """SHA-256 of the compiled rules, the edition and the engine's version, in hex."""
        return self.rules.digest

    def describe(self) -> Iterable[str]:
        """What is done to the data, in sentences."""
        return sentences(self.rules)

    def table(self) -> Iterator[tuple[str, str, str, str, str]]:
        """Tag "(gggg,eeee)", keyword, VR, action and its source, for every element that has a rule."""
        for rule in self.rules.rules:
            yield f"({rule.tag >> 16:04X},{rule.tag & 0xFFFF:04X})", rule.keyword, rule.vr, rule.action, rule.source
        yield from _PATTERNS

    def apply(self, source: Source) -> Draft:
        """De-identify one object. Raises ``HeldError`` and nothing else."""
        try:
            draft = self._apply(source)
        except HeldError:
            raise
        except Exception as err:
            message = f"the rules failed on the object ({type(err).__name__})"
            raise HeldError(message, code="deidentifier-failed") from None
        return draft

    def _apply(self, source: Source) -> Draft:
        subject = read(source, self.rules.limits)
        top = self._program_for(subject)
        try:
            return self._draft(source, subject, top, strict=False)
        except Invalid:
            return self._draft(source, subject, top, strict=True)

    def _draft(self, source: Source, subject: Subject, top: Program, *, strict: bool) -> Draft:
        splice = Splice(
            subject.scanner,
            top,
            keys=source.keys,
            pseudonym=source.pseudonym.encode("ascii"),
            writer=Writer(),
            pixel_step=subject.put_pixels,
            strict=strict,
        )
        return _draft(source, self.rules, subject, splice, top)

    def _program_for(self, subject: Subject) -> Program:
        """Steps depend on the class and on the sign of pixel values only."""
        key = (subject.sop_class if subject.sop_class in reference.types() else "", subject.signed)
        found = self._programs.get(key)
        if found is None:
            items = Program(self._index, key[0], nested=True, signed=key[1])
            found = self._programs[key] = Program(self._index, key[0], nested=False, signed=key[1], items=items)
        return found


_PATTERNS = (
    ("(gggg,eeee) with odd gggg", "", "", "X", "PS3.15 E.1-1: private"),
    ("(50xx,xxxx)", "", "", "X", "PS3.15 E.1-1: curves"),
    ("(60xx,xxxx)", "", "", "X", "PS3.15 E.1-1: overlays, whole planes"),
    ("(0002,xxxx)", "", "", "W", "file meta information is made from scratch"),
    ("(FFFA,FFFA)", "", "", "X", "digital signatures"),
    ("(FFFC,FFFC)", "", "", "X", "padding"),
    ("any other", "", "", "X", "not in PS3.6"),
)


def _draft(source: Source, rules: RuleSet, subject: Subject, splice: Splice, top: Program) -> Draft:
    """Write the file into memory, with what layouts, gates and reports need to know of it."""
    instance, study, series = (splice.uid(subject.uid(tag), name) for tag, name in _HIERARCHY.items())
    writer = splice.writer
    writer.put_own(filemeta.beginning(subject.sop_class, instance, subject.out_syntax))
    charset = subject.charset if text.known(subject.raw(0x00080005)) else ("",)
    ours = [*_ours(rules, subject, source.pseudonym, study), *subject.tables()]
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
            modality=_released(subject, top, 0x00080060),
            study_date=_released(subject, top, 0x00080020),
            study_description=_released(subject, top, 0x00081030),
            series_description=_released(subject, top, 0x0008103E),
            series_number=subject.number(0x00200011),
            instance_number=subject.number(0x00200013),
        ),
        seen=subject.seen(),
        needles=splice.haul.all(),
    )


_HIERARCHY = {_INSTANCE: "SOPInstanceUID", _STUDY: "StudyInstanceUID", _SERIES: "SeriesInstanceUID"}


def _released(subject: Subject, top: Program, tag: int) -> str:
    """A value that goes out as it came, else nothing."""
    step = top[tag]
    return subject.text(tag) if step is not None and step.op in _RELEASED else ""


def _ours(rules: RuleSet, subject: Subject, pseudonym: str, study: str) -> list[tuple[int, bytes]]:
    """The elements that are written whatever the object had, in order of their tags."""
    study_id = hashlib.sha256(study.encode("ascii")).hexdigest()[:8]
    return [
        (0x00100010, element(0x00100010, b"PN", pseudonym.encode("ascii"))),
        (0x00100020, element(0x00100020, b"LO", pseudonym.encode("ascii"))),
        (0x00120062, element(0x00120062, b"CS", b"YES")),
        (method.METHOD, method.text_element(rules.method, subject.earlier_methods())),
        (method.CODE_SEQUENCE, method.code_element(rules.codes, subject.earlier_codes())),
        (0x00200010, element(0x00200010, b"SH", study_id.encode("ascii"))),
        (0x00280303, element(0x00280303, b"CS", rules.temporal.encode("ascii"))),
    ]
