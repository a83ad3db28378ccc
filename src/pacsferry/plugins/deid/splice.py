"""Rewrite one data set: runs of what stays are passed on as they are, the rest is made anew by the rules' steps.

It decodes no text but what has to be looked for, and never touches pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pacsferry.core import charsets as text
from pacsferry.core.encoding import EXPLICIT, LONG_VRS, Dialect
from pacsferry.core.model import Keys

from . import dates, pixels, reference
from .checks import UID, UIDS, Checks
from .context import Context
from .echoes import Echoes
from .moving import dated, too_old
from .needles import Haul
from .private import Strangers
from .program import DUMMIES, LAST_COPY, Op, Program, Step, alike, element, padded
from .recall import END, Ours
from .scan import Element, Scanner
from .writer import Writer

_STRUCTURAL = "1.2.840.10008."
#: What names the instances that an object refers to.
_REFERENCE = "ReferencedSOPInstanceUID"
#: Bigger binary values are passed on beside the header.
BULK = 4096
# Looking up a member of an enumeration takes longer than comparing it.
_BYTES, _TEXT, _CODE, _NUMBER, _DROP = Op.BYTES, Op.TEXT, Op.CODE, Op.NUMBER, Op.DROP
#: Operations after which a UID is not what it was.
_GOING = frozenset({Op.REMAP, Op.LOOK})
_CHARSET, _BIRTH = 0x00080005, 0x00100030


class Invalid(Exception):
    """A value that was passed on is not of its VR, or names a day that was moved or went: do it again, looking at each.

    ``days`` are these days, of eight digits.
    """

    def __init__(self, days: frozenset[bytes]) -> None:
        super().__init__()
        self.days = days


class Splice:
    """One pass over one object. Not used twice."""

    def __init__(
        self,
        scanner: Scanner,
        top: Program,
        *,
        keys: Keys,
        pseudonym: bytes,
        writer: Writer,
        pixel_step: Callable[[Element, Step, Writer], None],
        strict: bool,
        shift: Callable[[], int],
        echoes: Echoes,
        days: frozenset[bytes] = frozenset(),
        strangers: Strangers | None = None,
    ) -> None:
        """``shift`` gives the patient's shift in days; ``days`` and ``strict`` are for a second pass (``Invalid``).

        ``echoes`` is what nothing that stays may repeat.
        """
        self._scanner, self._data = scanner, scanner.data
        self._top = top
        self._keys, self._pseudonym = keys, pseudonym
        self.writer = writer
        self.haul = Haul()
        self.references: dict[str, None] = {}
        self._pixel_step = pixel_step
        self._strict = strict
        self._shift, self._strangers = shift, strangers
        self._shift_days: int | None = None
        self._echoes = echoes
        self._moved: set[bytes] = set(echoes.days)
        #: What values are held against.
        self.checks = Checks(echoes.ids, days)
        self._numbers: list[memoryview] = []
        self._codes: list[memoryview] = []
        self._ops: Mapping[Op, Callable[..., None]] = {
            Op.BYTES: self._bytes,
            Op.TEXT: self._text,
            Op.CODE: self._code,
            Op.NUMBER: self._number,
            Op.STRUCTURAL: self._structural,
            Op.CODED: self._coded,
            Op.LOOK: self._look,
            Op.FIXED: self._fixed,
            Op.REMAP: self._remap,
            Op.ENTER: self._enter,
            Op.DUMMIES: self._enter,
            Op.PSEUDONYM: self._name,
            Op.PIXELS: self._pixels,
            Op.DATE: self._date,
            Op.AGE: self._age,
        }

    def run(self, elements: list[Element], dialect: Dialect, charset: tuple[str, ...], ours: list[Ours]) -> None:
        """Rewrite the top level; ``ours`` are the elements that we write, in order. Raises ``Invalid``."""
        self._level(elements, Context(dialect, 0, charset, elements, self._top), [*ours, END])
        self._check()

    def _check(self) -> None:
        """Whether numbers and codes that were passed on are what they should be, and no day stands where it did."""
        numbers, codes = b"\\".join(self._numbers), b"\\".join(self._codes)
        if not self.checks.all_fit(numbers, codes):
            raise Invalid(frozenset(self._moved))
        if self._moved and not self._strict and self._told():
            raise Invalid(frozenset(self._moved))

    def _told(self) -> bool:
        """Whether a day that was moved or went stands somewhere in the header as it was."""
        header = b"".join(self.writer.chunks)
        return any(form in header for day in self._moved for form in dates.written(day))

    def _level(  # noqa: C901, PLR0912 - one loop for every element of every object: calls would cost more than they explain
        self, elements: list[Element], here: Context, ours: list[tuple[int, bytes]]
    ) -> None:
        """The hot loop: one look-up per element; what is canonical already only makes the present run longer."""
        data, writer, ops, program = self._data, self.writer, self._ops, here.program
        copies = here.dialect is EXPLICIT and not here.dummies
        strangers, steps = self._strangers, None
        run_start = run_end = -1
        coming = iter(ours)
        next_tag, next_bytes = next(coming)
        for one in elements:
            tag, vr, start, value, end, _ = one
            if tag > next_tag:
                if run_end >= 0:
                    writer.put(data[run_start:run_end])
                    run_end = -1
                while tag > next_tag:
                    writer.put_own(next_bytes, head=8)
                    next_tag, next_bytes = next(coming)
            step = program[tag]
            if step is None:
                if strangers is None:
                    continue
                if steps is None:
                    steps = here.strangers
                if steps is None:
                    steps = here.strangers = strangers.steps(here.elements, here.dialect, here.depth, program)
                if (step := steps.get(tag)) is None:
                    continue
            op = step[0]
            if op <= LAST_COPY and copies and vr == step[1] and self._canonical(op, step, value, end):
                if start != run_end:
                    if run_end >= 0:
                        writer.put(data[run_start:run_end])
                    run_start = start
                run_end = end
                if op is _TEXT:
                    at = writer.size - run_start
                    writer.spans.append((at + value, at + end))
                continue
            if op is _DROP:
                continue
            if run_end >= 0:
                writer.put(data[run_start:run_end])
                run_end = -1
            ops[op](one, step, here)
        if run_end >= 0:
            writer.put(data[run_start:run_end])
        while next_bytes:
            writer.put_own(next_bytes, head=8)
            next_tag, next_bytes = next(coming)

    def _canonical(self, op: Op, step: Step, value: int, end: int) -> bool:  # noqa: PLR0911 - the sooner the cheaper
        """Whether the value can be passed on as it stands: even, with no padding but what evenness needs."""
        size = end - value
        if op is _BYTES:
            return size <= BULK and size <= step.most and not size % step.unit and not size & 1
        if size & 1 or self.checks.tell or (size > 0xFFFE and step.vr not in LONG_VRS):
            return False
        if size:
            last = self._data[end - 1]
            if last <= 0x20 and (last != (0 if step.vr == b"UI" else 0x20) or self._data[end - 2] <= 0x20):
                return False
        if op is _NUMBER:
            if self._strict:
                return False
            self._numbers.append(self._data[value:end])
        elif op is _CODE:
            if self._strict or step.head[:4] == b"\x08\0\x05\0":
                return False
            self._codes.append(self._data[value:end])
        elif op == Op.STRUCTURAL:
            return UIDS.fullmatch(self._data, value, end) is not None
        return True

    # What follows makes one element anew.

    def _value(self, one: Element, step: Step, here: Context) -> bytes | None:
        """The value in little endian, or None where the VR it has cannot be read as the one it should have."""
        _, vr, _, value, end, undefined = one
        if undefined or not alike(vr, step.vr):
            return None
        raw = bytes(self._data[value:end])
        if step.unit == 1:
            return raw
        if len(raw) % step.unit or len(raw) > step.most:
            return None
        return pixels.swapped(raw, step.unit) if here.dialect.order == ">" else raw

    def _bytes(self, one: Element, step: Step, here: Context) -> None:
        writer = self.writer
        size = one[4] - one[3]
        plain = here.dialect.order == "<" or step.unit == 1
        if (
            BULK < size <= step.most
            and plain
            and not size % step.unit
            and not size & 1
            and not one[5]
            and alike(one[1], step.vr)
        ):
            value = self._data[one[3] : one[4]]
            if len(step.head) == 8:
                writer.put(step.head + size.to_bytes(4, "little"))
            elif size <= 0xFFFE:
                writer.put(step.head + size.to_bytes(2, "little"))
            else:
                writer.put(step.head[:4] + b"UN\0\0" + size.to_bytes(4, "little"))
            writer.put_bulk(value)
            return
        raw = self._value(one, step, here)
        if raw is not None:
            writer.put_value(step.head, padded(raw, step.vr))

    def _text(self, one: Element, step: Step, here: Context) -> None:
        if here.dummies:
            self._dummy(step)
            return
        raw = self._value(one, step, here)
        if raw is not None:
            self.writer.put_text(step.head, padded(b"" if self.checks.tells(raw) else raw, step.vr))

    def _dummy(self, step: Step) -> None:
        value = padded(DUMMIES[step.vr.decode()], step.vr)
        head = len(step.head) + (4 if len(step.head) == 8 else 2)
        self.writer.put_own(element(step.tag, step.vr, value), head=head)

    def _coded(self, one: Element, step: Step, here: Context) -> None:
        """Words that somebody published stay, of a code or as a term; others become a dummy, so as to be there."""
        if self._published(one, here):
            self._text(one, step, here)
        else:
            self._dummy(step)

    def _published(self, one: Element, here: Context) -> bool:
        """Whether a code's scheme, or the very term, is a published one."""
        terms = reference.terms().get(one[0])
        if terms is None:
            return here.designator(self._data) in reference.schemes()
        return bytes(self._data[one[3] : one[4]]).strip(b" \0") in terms

    def _code(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        if raw is None or (one[0] == _CHARSET and not text.known(raw)):
            return
        self.writer.put_value(step.head, padded(self.checks.codes(raw), step.vr))

    def _number(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        if raw is None:
            return
        self.writer.put_value(step.head, padded(raw, step.vr) if self.checks.number(raw) else b"")

    def _structural(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        if raw is None:
            return
        if self.checks.structural(raw):
            self.writer.put_value(step.head, padded(raw, step.vr))
        else:
            self._replaced(raw, step)

    def moved(self, vr: str, raw: bytes, step: Step) -> bytes | None:
        """A date, time or zone as it goes out; None where it cannot."""
        return dates.moved(vr, raw, self._days() if step.moves else None)

    def _days(self) -> int:
        """The patient's shift, asked for once."""
        if self._shift_days is None:
            self._shift_days = self._shift()
        return self._shift_days

    def _date(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        whole, days = dated(one[0], step.vr, raw, self._days() if step.moves else None)
        if not whole or (one[0] == _BIRTH and not here.depth and too_old(raw or b"", here, self._data)):
            self._spare(step)
            return
        if step.moves:
            self._moved.update(days)
        # A day that was moved is no copy: it may happen to be another one of the patient.
        self.writer.put_own(whole, head=8)

    def _age(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        new = None if raw is None else dates.age(raw)
        if new is None:
            self._spare(step)
        else:
            self.writer.put_value(step.head, padded(new, step.vr))

    def _spare(self, step: Step) -> None:
        """What stands for a value that cannot be kept."""
        if step.spare:
            self.writer.put_own(step.spare, head=8)

    def _remap(self, one: Element, step: Step, here: Context) -> None:
        raw = self._value(one, step, here)
        if raw is not None:
            self._replaced(raw, step)

    def _replaced(self, raw: bytes, step: Step) -> None:
        new = [self.uid(part, step.needle) for part in raw.decode("latin-1").split("\\")]
        if step.needle == _REFERENCE:
            self.references.update(dict.fromkeys(one for one in new if one.startswith("2.25.")))
        self.writer.put_value(step.head, padded("\\".join(new).encode("ascii"), b"UI"))

    def uid(self, original: str, keyword: str) -> str:
        """The new UID of one original; structural ones stay if they are UIDs at all and name no day of the patient."""
        original = original.strip(" \0")
        if not original:
            return ""
        sound = UID.fullmatch(original) and not self.checks.tells(original.encode("latin-1"))
        if original.startswith(_STRUCTURAL) and not sound:
            original = "not a UID: " + original
        new = self._keys.uid(original)
        if new != original:
            self.haul.uids[original] = keyword
        return new

    def _fixed(self, one: Element, step: Step, here: Context) -> None:
        self._look(one, step, here)
        self.writer.put_own(step.fixed, head=len(step.fixed) - step.fixed_text)

    def _name(self, one: Element, step: Step, here: Context) -> None:
        self._look(one, step, here)
        self.writer.put_own(element(step.tag, step.vr, self._pseudonym), head=8)

    def _look(self, one: Element, step: Step, here: Context) -> None:
        """Take the needles of what is not kept."""
        _, vr, _, value, end, undefined = one
        if step.vr == b"SQ":
            self._collect(one, here)
        elif step.vr == b"UI":
            for part in bytes(self._data[value:end]).decode("latin-1").split("\\"):
                self.uid(part, step.needle)
        elif step.needle and not undefined and alike(vr, step.vr) and end > value:
            self.haul.add(step.needle, step.vr.decode(), bytes(self._data[value:end]), here.charset)

    def _collect(self, one: Element, here: Context) -> None:
        """Take the needles of a sequence that goes."""
        if one[1] not in {b"SQ", b"UN", b""}:
            return
        within = self._scanner.dialect_within(one, here.dialect)
        for start, end in self._scanner.items(one, within):
            elements = self._scanner.elements(start, end, within, here.depth + 1)
            inside = here.inside(self._data, within, elements, one[0], dummies=False)
            for each in elements:
                step = inside.program[each[0]]
                if step is not None and (step.vr == b"SQ" or (step.needle and _identifies(step))):
                    self._look(each, step, inside)

    def _enter(self, one: Element, step: Step, here: Context) -> None:
        """Rewrite a sequence item by item, with defined lengths."""
        if one[1] not in {b"SQ", b"UN", b""}:
            return
        within = self._scanner.dialect_within(one, here.dialect)
        writer = self.writer
        sequence = writer.reserve(step.head)
        for start, end in self._scanner.items(one, within):
            item = writer.reserve(b"\xfe\xff\x00\xe0")
            elements = self._scanner.elements(start, end, within, here.depth + 1)
            dummies = here.dummies or step.op == Op.DUMMIES
            inside = here.inside(self._data, within, elements, one[0], dummies=dummies)
            self._level(elements, inside, [END])
            writer.fill(item)
        writer.fill(sequence)

    def _pixels(self, one: Element, step: Step, _: Context) -> None:
        self._pixel_step(one, step, self.writer)


def _identifies(step: Step) -> bool:
    """Whether what stands in an element must not be found elsewhere; not what rules keep, such as an institution."""
    return step.op in _GOING if step.vr == b"UI" else step.op > LAST_COPY
