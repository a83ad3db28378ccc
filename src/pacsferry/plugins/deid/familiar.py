"""The splice path for objects whose like was met before: what is the same, and came to the same, is not done again."""

from __future__ import annotations

from collections.abc import Hashable

from pacsferry.core.encoding import Dialect

from .context import Context
from .recall import END, Done, Layout, Ours, Stretch
from .scan import Element
from .splice import Splice


class Familiar(Splice):
    """One pass over one object, of which a layout may cover the first elements. Not used twice."""

    _layout: Layout | None = None
    _source: Hashable = None

    def know(self, layout: Layout | None, source: Hashable) -> None:
        """Recall what came of objects of a layout and of the same ``source``: whatever decides and stands outside."""
        self._layout, self._source = layout, source

    def run(self, elements: list[Element], dialect: Dialect, charset: tuple[str, ...], ours: list[Ours]) -> None:
        """Rewrite the top level; ``ours`` are the elements that we write, in order. Raises ``Invalid``."""
        layout = self._layout
        if layout is None or self._strict or (self._strangers is not None and not layout.private_settled):
            super().run(elements, dialect, charset, ours)
            return
        here = Context(dialect, 0, charset, elements, self._top)
        what = (charset, self._pseudonym, self._echoes, tuple(ours), self._source)
        stretches = layout.recalled(self._top, what)
        known = stretches if stretches is not None else tuple(layout.divided(elements, ours, self._top))
        for one in known:
            if one.done is None:
                self._level(one.elements, here, [*one.ours, END])
            elif stretches is None:
                self._recall(self._done(one, one.done, here))
            else:
                self._scanner.count(one.done.count)
                self._recall(one.done)
        written = sum(len(one.ours) for one in known)
        self._level(elements[sum(len(one.elements) for one in known) :], here, [*ours[written:], END])
        self._check()
        if stretches is None:
            layout.note(self._top, what, known)

    def _done(self, stretch: Stretch, done: Done, here: Context) -> Done:
        """Rewrite what objects of a layout have in common, to recall it."""
        outside = self.writer, self.haul, self.references, self._moved
        self.writer, self.haul, self.references, self._moved = done.writer, done.haul, done.references, done.days
        before = self._scanner.counted
        self._level(stretch.elements, here, [*stretch.ours, END])
        done.count = self._scanner.counted - before
        self.writer, self.haul, self.references, self._moved = outside
        done.writer.chunks = [b"".join(done.writer.chunks)]  # nothing of this object's memory is held on to
        return done

    def _recall(self, done: Done) -> None:
        self.writer.put_all(done.writer)
        self.haul.update(done.haul)
        self.references.update(done.references)
        self._moved |= done.days
