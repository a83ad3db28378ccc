"""Where the walk over a data set is; it reads what it needs of the present item and changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from pacsferry.core import charsets as text
from pacsferry.core.encoding import Dialect

from .program import Program, Step
from .scan import Element

_CHARSET, _DESIGNATOR = 0x00080005, 0x00080102


class Context:
    """Where the walk is: encoding, depth, character set, elements and program of the present item."""

    __slots__ = ("charset", "depth", "dialect", "dummies", "elements", "program", "strangers")

    def __init__(
        self,
        dialect: Dialect,
        depth: int,
        charset: tuple[str, ...],
        elements: list[Element],
        program: Program,
        *,
        dummies: bool = False,
    ) -> None:
        self.dialect, self.depth, self.charset, self.elements = dialect, depth, charset, elements
        self.program, self.dummies = program, dummies
        #: Steps for elements of this level that no rule names, once somebody asked for them.
        self.strangers: Mapping[int, Step] | None = None

    def inside(
        self, data: memoryview, dialect: Dialect, elements: list[Element], sequence: int, *, dummies: bool
    ) -> Context:
        """An item of ``sequence``; it may have a character set of its own (PS3.5 6.1.2.3)."""
        charset = self.charset
        if elements and elements[0][0] == _CHARSET:
            charset = text.terms(bytes(data[elements[0][3] : elements[0][4]]))
        below = self.program.within(sequence)
        return Context(dialect, self.depth + 1, charset, elements, below, dummies=dummies)

    def designator(self, data: memoryview) -> str | None:
        """The coding scheme of the item, None where it has none."""
        for tag, _, _, value, end, _ in self.elements:
            if tag == _DESIGNATOR:
                return bytes(data[value:end]).decode("latin-1").strip(" \0")
        return None
