"""Contracts: tests that every plugin of a kind must pass. Subclass one, override ``offer``, run pytest.

>>> class TestMine(LayoutContract):  # doctest: +SKIP
...     @pytest.fixture
...     def offer(self):
...         return mine.OFFER
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .deidentifier import DeidentifierContract
from .finder import FinderContract
from .gate import GateContract
from .kit import Contract, MemorySink
from .layout import LayoutContract
from .misbehaviour import MisbehaviourContract
from .observer import ObserverContract
from .pseudonyms import PseudonymSourceContract
from .report import ReportContract
from .transport import TransportContract
from .vendor import VendorContract
from .webauth import WebAuthContract

#: The contract of each kind in ``core.registry.KINDS``.
CONTRACTS: Final[Mapping[str, type[Contract]]] = {
    "finder": FinderContract,
    "transport": TransportContract,
    "anonymization profile": DeidentifierContract,
    "pseudonym source": PseudonymSourceContract,
    "gate": GateContract,
    "layout": LayoutContract,
    "report": ReportContract,
    "vendor": VendorContract,
    "web auth": WebAuthContract,
    "fault": MisbehaviourContract,
    "observer": ObserverContract,
}

__all__ = [
    "CONTRACTS",
    "Contract",
    "DeidentifierContract",
    "FinderContract",
    "GateContract",
    "LayoutContract",
    "MemorySink",
    "MisbehaviourContract",
    "ObserverContract",
    "PseudonymSourceContract",
    "ReportContract",
    "TransportContract",
    "VendorContract",
    "WebAuthContract",
]
