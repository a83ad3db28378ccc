"""What the plugin offers, and that offering it costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pacsferry.core import registry
from pacsferry.core.archive import Archive, Dicomweb
from pacsferry.core.ports import Finder, Transport

ARCHIVE = Archive(name="x", dicomweb=Dicomweb(url="http://127.0.0.1:1/x"))


def test_the_registry_finds_and_builds_both():
    found = registry.load(external=False)
    offer = found.named("finder", "qido-rs")
    finder: Finder = registry.resolve(offer.build)(ARCHIVE, offer.settings())
    assert finder.protocol == "dicomweb"
    finder.close()
    offer = found.named("transport", "wado-rs")
    transport: Transport = registry.resolve(offer.build)(ARCHIVE, offer.settings())
    assert transport.traits.protocol == "dicomweb"
    assert not transport.traits.needs_listener
    transport.close()


def test_the_offers_load_no_http_library():
    code = (
        "import sys, pacsferry.plugins.dicomweb as p\n"
        "list(p.pacsferry_finders()), list(p.pacsferry_transports())\n"
        "print([m for m in ('requests', 'urllib3', 'dicomweb_client', 'pydicom', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("qido-rs", {"page_size": 0}),
        ("qido-rs", {"page": 3}),
        ("wado-rs", {"max_tries": 0}),
        ("wado-rs", {"max_wait": "soon"}),
    ],
)
def test_settings_are_strict(name, values):
    offer = registry.load(external=False).named("finder" if name == "qido-rs" else "transport", name)
    with pytest.raises(ValueError, match=next(iter(values))):
        offer.settings(**values)
