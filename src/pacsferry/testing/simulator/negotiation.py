"""What the simulator supports towards one peer, association by association; nothing is sent here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom._globals import ALL_TRANSFER_SYNTAXES
from pynetdicom.presentation import AllStoragePresentationContexts, PresentationContext, build_context

from .faults import Fault, Spoiled
from .holdings import Holdings

VERIFICATION: Final = "1.2.840.10008.1.1"
#: SOP class -> verb and root (PS3.4 C.6).
MODELS: Final[Mapping[str, tuple[str, str]]] = {
    "1.2.840.10008.5.1.4.1.2.1.1": ("c-find", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.1.2": ("c-move", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.1.3": ("c-get", "PATIENT"),
    "1.2.840.10008.5.1.4.1.2.2.1": ("c-find", "STUDY"),
    "1.2.840.10008.5.1.4.1.2.2.2": ("c-move", "STUDY"),
    "1.2.840.10008.5.1.4.1.2.2.3": ("c-get", "STUDY"),
}
_QUERY_SYNTAXES: Final[list[str | UID]] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
_COMPRESSED: Final = tuple(uid for uid in ALL_TRANSFER_SYNTAXES if UID(uid).is_compressed)


def contexts(assoc: Any, holdings: Holdings, spoiled: Spoiled) -> list[PresentationContext]:
    """The contexts to accept from the peer of ``assoc``, whose proposal is known already."""
    gets = {str(uid) for uid, item in assoc.requestor.role_selection.items() if item.scp_role}
    services = _services(spoiled)
    if spoiled.take("no-storage"):
        return services
    sending = list(_sending(assoc, gets, holdings, spoiled))
    return [*services, *sending, *_receiving(assoc, gets, holdings)]


def _services(spoiled: Spoiled) -> list[PresentationContext]:
    """Verification and query/retrieve, as far as an order leaves them."""
    gone = {str(fault["service"]) for fault in spoiled.each("no-service")}
    unknown = {"PATIENT": spoiled.take("study-root-only"), "STUDY": spoiled.take("patient-root-only")}
    queries = [
        build_context(uid, _QUERY_SYNTAXES)
        for uid, (verb, root) in MODELS.items()
        if verb not in gone and not unknown[root]
    ]
    return queries if "c-echo" in gone else [build_context(VERIFICATION), *queries]


def _sending(assoc: Any, classes: set[str], holdings: Holdings, spoiled: Spoiled) -> Iterable[PresentationContext]:
    """For C-GET: each class in the syntaxes that its objects can be had in (no transcoding)."""
    offered: dict[str, dict[str, None]] = {}
    for one in holdings.all():
        if one.sop_class in classes:
            offered.setdefault(one.sop_class, {}).update(dict.fromkeys(one.syntaxes()))
    refused = spoiled.take("no-role")
    only = spoiled.take("storage-only")
    squeezing = spoiled.take("prefers-compressed")
    for sop_class, own in offered.items():
        syntaxes = _left(only, sop_class, own)
        if not syntaxes:
            continue
        squeezed = _proposed(assoc, sop_class) & set(_COMPRESSED) if squeezing else set()
        context = build_context(sop_class, sorted(squeezed) or list(syntaxes))
        context.scu_role, context.scp_role = True, not refused
        yield context


def _left(only: Fault | None, sop_class: str, syntaxes: Iterable[str]) -> list[str]:
    """The syntaxes that an order leaves of a class."""
    if only and only["classes"] and sop_class not in str(only["classes"]).split("+"):
        return []
    return [one for one in syntaxes if not (only and only["syntaxes"]) or one in str(only["syntaxes"]).split("+")]


def _proposed(assoc: Any, sop_class: str) -> set[str]:
    """Every syntax that the peer proposes for a class."""
    return {
        str(syntax)
        for context in assoc.requestor.requested_contexts
        if context.abstract_syntax == sop_class
        for syntax in context.transfer_syntax
    }


def _receiving(assoc: Any, classes: set[str], holdings: Holdings) -> Iterable[PresentationContext]:
    """For C-STORE: every storage class in every syntax, private classes where we hold one.

    Those that the peer does not propose are left out, for each takes time to build.
    """
    known = {cx.abstract_syntax for cx in AllStoragePresentationContexts} | {one.sop_class for one in holdings.all()}
    proposed = {cx.abstract_syntax for cx in assoc.requestor.requested_contexts}
    return [build_context(uid, ALL_TRANSFER_SYNTAXES) for uid in (known & proposed) - classes if uid]
