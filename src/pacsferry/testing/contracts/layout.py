"""The contract of layouts: pure, plain, and never two instances in one place."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import PurePosixPath
from typing import Any, Final

import pytest

from pacsferry.core.errors import HeldError
from pacsferry.core.model import Facts
from pacsferry.core.places import plain
from pacsferry.core.ports import Layout, Offer
from pacsferry.core.strict import Strict
from pacsferry.testing.samples import CT, uid

from .kit import Contract, build

_FACTS: Final = Facts(
    pseudonym="case0001",
    study_uid=uid("layout", "study"),
    series_uid=uid("layout", "series"),
    instance_uid=uid("layout", "instance"),
    sop_class=CT,
    transfer_syntax="1.2.840.10008.1.2.1",
    modality="CT",
    study_date="20240517",
    study_description="CT Abdomen",
    series_description="venous",
    series_number=3,
    instance_number=12,
)
HOSTILE: Final = (
    "", ".", "..", "../../etc/passwd", "/etc/passwd", "a/b", "a\\b", "a\0b", "a\nb", "-rf", "~", "CON", "x" * 300,
    "Schädel nativ", "脳", "\u202egnp.exe", "%2e%2e", "$(id)", " ", "\t", "a:b", "*",
)  # fmt: skip


class LayoutContract(Contract):
    """Override ``offer``."""

    @pytest.fixture
    def layout(self, offer: Offer[Any], settings: Strict) -> Layout:
        """The layout under test."""
        made: Layout = build(offer, settings)
        return made

    def test_the_same_facts_the_same_path(self, offer: Offer[Any], settings: Strict, layout: Layout) -> None:
        path = layout.place(_FACTS)
        layout.place(replace(_FACTS, instance_uid=uid("layout", "another")))
        assert layout.place(_FACTS) == path, "a layout does not count or remember"
        assert build(offer, settings).place(_FACTS) == path
        assert isinstance(path, PurePosixPath)

    def test_the_path_is_plain(self, layout: Layout) -> None:
        assert plain(layout.place(_FACTS))
        assert layout.place(_FACTS).suffix == ".dcm"

    def test_two_instances_never_share_a_path(self, layout: Layout) -> None:
        """Same numbers, same texts, another UID: file systems that fold case are meant too."""
        many = [
            replace(
                _FACTS,
                study_uid=uid("s", study),
                series_uid=uid("s", study, series),
                instance_uid=uid("s", study, series, n),
            )
            for study in range(3)
            for series in range(3)
            for n in range(30)
        ]
        paths = {str(layout.place(facts)).lower() for facts in many}
        assert len(paths) == len(many)

    def test_patients_stay_apart(self, layout: Layout) -> None:
        other = replace(_FACTS, pseudonym="case0002")
        assert layout.place(other) != layout.place(_FACTS)

    def test_files_sort_by_their_number(self, layout: Layout) -> None:
        many = [replace(_FACTS, instance_number=n, instance_uid=uid("sort", n)) for n in (1, 2, 9, 10, 11, 99, 100)]
        paths = [str(layout.place(facts)) for facts in many]
        assert paths == sorted(paths)

    @pytest.mark.parametrize("text", HOSTILE, ids=[f"hostile{n}" for n in range(len(HOSTILE))])
    @pytest.mark.parametrize("name", [one.name for one in fields(Facts) if one.type == "str"])
    def test_hostile_facts_give_a_plain_path_or_hold(self, layout: Layout, name: str, text: str) -> None:
        try:
            path = layout.place(_with(name, text))
        except HeldError as error:
            assert error.code
            return
        assert plain(path) or name in ("pseudonym", "study_uid", "series_uid", "instance_uid"), (
            "texts of the archive must not reach a path as they are"
        )

    @pytest.mark.parametrize("number", [0, -1, 99_999, 2**31 - 1])
    def test_odd_numbers_give_a_plain_path(self, layout: Layout, number: int) -> None:
        assert plain(layout.place(replace(_FACTS, series_number=number, instance_number=number)))


def _with(name: str, text: str) -> Facts:
    changed: dict[str, Any] = {name: text}
    return replace(_FACTS, **changed)
