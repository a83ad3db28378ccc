"""C-FIND of the simulator from its identifier to its final response, lying where a fault wants it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from pydicom.charset import python_encoding
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pynetdicom.association import Association
from pynetdicom.dsutils import encode
from pynetdicom.presentation import PresentationContext

from .faults import Spoiled
from .holdings import LEVELS, Holdings
from .journal import Asked
from .matching import values
from .negotiation import MODELS
from .questions import Question, Refused, answer, remarks
from .responses import CANCELLED, MISMATCH, PENDING, SUCCESS, TOO_MANY, gone, respond

_NOT_KEYS: Final = ("QueryRetrieveLevel", "SpecificCharacterSet", "RetrieveAETitle", "TimezoneOffsetFromUTC")
_OPTIONAL_UNSUPPORTED: Final = 0xFF01


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One C-FIND and all that is needed to answer it."""

    assoc: Association
    context: PresentationContext
    request: Any
    asked: Asked
    question: Question
    spoiled: Spoiled
    holdings: Holdings
    ae_title: str
    stopping: threading.Event

    def serve(self) -> None:
        """Answer."""
        try:
            answers = self._answers()
        except Refused as refusal:
            self._end(refusal.status)
            return
        cap = self.spoiled.take("find-cap")
        shown = answers[: int(cap["limit"])] if cap else answers
        final = TOO_MANY if cap and cap["told"] and len(answers) > len(shown) else SUCCESS
        fails = self.spoiled.take("find-fails")
        for one in shown:
            if self._cancelled or (fails and self.asked.matches >= fails["after"]) or self._broken():
                break
            self._pending(one)
        else:
            self._broken()
        self._end(int(fails["status"]) if fails else CANCELLED if self._cancelled else final)

    def _answers(self) -> list[Dataset]:
        root = MODELS[str(self.context.abstract_syntax)][1]
        if self.question.level not in LEVELS or (self.question.level == "PATIENT" and root == "STUDY"):
            raise Refused(MISMATCH, 400)
        pause = self.spoiled.take("find-pause")
        if pause:
            self.stopping.wait(float(pause["seconds"]))
        return answer(self.question, self.spoiled, self.holdings)

    @property
    def _cancelled(self) -> bool:
        return self.request.MessageID in self.assoc.dimse.cancel_req

    def _broken(self) -> bool:
        """End, or hang, where an order wants it; whether the association is gone."""
        silence = self.spoiled.take("find-silence")
        key = str(silence["keyword"]) if silence else ""
        if silence and self.asked.matches >= silence["after"] and (not key or self.question.keys.get(key)):
            self._hang()
        abort = self.spoiled.take("find-abort")
        if abort and self.asked.matches >= abort["after"]:
            self.assoc.abort()
        return not self.assoc.is_established

    def _hang(self) -> None:
        """Say nothing until the peer leaves."""
        while not gone(self.assoc) and not self.stopping.wait(0.05):
            pass
        self.assoc.abort()

    def _pending(self, found: Dataset) -> None:
        found.QueryRetrieveLevel = self.question.level
        found.RetrieveAETitle = self.ae_title
        status = _OPTIONAL_UNSUPPORTED if self.spoiled.take("find-ff01") else PENDING
        respond(self.assoc, self.context, self.request, status, BytesIO(self._encoded(found)))
        self.asked.matches += 1

    def _encoded(self, found: Dataset) -> bytes:
        syntax = self.context.transfer_syntax[0]
        lie = self.spoiled.take("find-charset")
        if lie:
            data = _misdeclared(found, str(lie["says"]), str(lie["really"]), implicit=bool(syntax.is_implicit_VR))
        else:
            data = encode(found, syntax.is_implicit_VR, syntax.is_little_endian) or b""
        odd = self.spoiled.take("find-odd-length")
        return _odd_length(data, found, str(odd["keyword"]), explicit=not syntax.is_implicit_VR) if odd else data

    def _end(self, status: int) -> None:
        if self.assoc.is_established:
            self.asked.status = status
            respond(self.assoc, self.context, self.request, status)


def question(identifier: Dataset, level: str) -> Question:
    """What an identifier asks (PS3.4 C.2.2.1.1)."""
    elements = [one for one in identifier if one.keyword not in _NOT_KEYS]
    words = [one.keyword for one in elements if one.keyword]
    keys = {word: "\\".join(values(identifier, word)) for word in words}
    keys = {word: value for word, value in keys.items() if value}
    others = [str(one.tag) for one in elements if not one.keyword and one.tag.element]
    level_missing = [] if level else ["QueryRetrieveLevel: missing"]
    odd = (*level_missing, *remarks(keys, words, level, others))
    return Question(verb="c-find", level=level, keys=keys, wants=tuple(words), fields=tuple(words), odd=odd)


def _misdeclared(found: Dataset, says: str, really: str, *, implicit: bool) -> bytes:
    """Text in one character set under the name of another (empty: under none); (0008,0005) comes first of all."""
    head, rest = Dataset(), Dataset()
    rest.update({tag: found[tag] for tag in found.keys() if tag != 0x00080005})  # noqa: SIM118 - a Dataset is no dict
    if says:
        head.SpecificCharacterSet = says
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, implicit
    write_dataset(buffer, head)
    write_dataset(buffer, rest, parent_encoding=python_encoding[really])
    return buffer.getvalue()


def _odd_length(data: bytes, found: Dataset, keyword: str, *, explicit: bool) -> bytes:
    """``data`` with one value longer by a padding byte, so that its length is odd (PS3.5 7.1.1 wants it even)."""
    tag = tag_for_keyword(keyword)
    if tag is None or not found.get(keyword):
        return data
    at = data.find((tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little"))
    size, width = (at + 6, 2) if explicit else (at + 4, 4)
    end = size + width + int.from_bytes(data[size : size + width], "little")
    longer = (end - size - width + 1).to_bytes(width, "little")
    pad = b"\0" if found[keyword].VR == "UI" else b" "
    return data[:size] + longer + data[size + width : end] + pad + data[end:]
