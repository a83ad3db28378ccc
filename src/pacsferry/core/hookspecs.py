"""Every extension point of pacsferry, and nothing else.

Each hook is asked once, at start-up, and answers with named offers; a profile chooses by name, so the order of
plugins never matters and no hook is ``firstresult``. A module with hook implementations imports no heavy library:
``Offer.build`` may be ``"module:attribute"``, which is imported when the name is chosen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from .ports import (
        Authenticator,
        Deidentifier,
        Finder,
        Gate,
        Layout,
        Misbehaviour,
        Observer,
        Offer,
        PseudonymSource,
        Report,
        Transport,
        Vendor,
    )

hookspec = pluggy.HookspecMarker("pacsferry")
hookimpl = pluggy.HookimplMarker("pacsferry")


@hookspec
def pacsferry_finders() -> Iterable[Offer[Finder]]:
    """Ways to ask an archive what it has (C-FIND, QIDO-RS).

    Built with ``build(archive, settings)``. A failure is an error, never an empty answer.
    """
    return ()


@hookspec
def pacsferry_transports() -> Iterable[Offer[Transport]]:
    """Ways to bring instances here (C-GET, C-MOVE, WADO-RS), tried in the profile's order.

    Built with ``build(archive, settings)``. A transport gives what it receives to the sink; it opens no files.
    """
    return ()


@hookspec
def pacsferry_anonymization_profiles() -> Iterable[Offer[Deidentifier]]:
    """Ways to make an object safe. An exception holds the instance; it is never passed on."""
    return ()


@hookspec
def pacsferry_pseudonym_sources() -> Iterable[Offer[PseudonymSource]]:
    """Ways to name patients."""
    return ()


@hookspec
def pacsferry_gates() -> Iterable[Offer[Gate]]:
    """Last looks before storing.

    ``sop-class`` and ``residual-identifiers`` run always, plus the chosen ones; the strictest verdict wins.
    """
    return ()


@hookspec
def pacsferry_storage_layouts() -> Iterable[Offer[Layout]]:
    """Pure functions from released facts to a relative path. Core joins, checks and writes."""
    return ()


@hookspec
def pacsferry_reports() -> Iterable[Offer[Report]]:
    """Pure functions from a run's summary to files. All chosen ones run."""
    return ()


@hookspec
def pacsferry_vendors() -> Iterable[Vendor]:
    """Products and how they depart from the standard."""
    return ()


@hookspec
def pacsferry_simulator_faults() -> Iterable[Offer[Misbehaviour]]:
    """Further things that a simulated archive can do wrong: ``pacsferry simulate --misbehave NAME:key=value``.

    Built with ``build(settings)``; the settings are the parameters, each with a default. A personality is no hook of
    its own: ``Vendor.personality`` names the faults of a product, built in or not.
    """
    return ()


@hookspec
def pacsferry_web_auths() -> Iterable[Offer[Authenticator]]:
    """Ways to prove to a DICOMweb archive who we are; ``archive.dicomweb.auth`` chooses one.

    Built with ``build(archive, settings)``. What it gives goes to the archive's own origins only.
    """
    return ()


@hookspec
def pacsferry_observers() -> Iterable[Offer[Observer]]:
    """Who is told each event of the audit trail, after it is on record. All chosen ones are; none can change anything.

    A failure is logged by the type of the exception, and the run goes on. The events of ``echo``, ``find`` and
    ``doctor``, which belong to no project, are told too.
    """
    return ()
