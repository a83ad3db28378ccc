"""Against a product's personality, a profile that names the product loads; without the quirks it would not."""

import pytest

from pacsferry.app.simulating import known_faults
from pacsferry.core import registry
from pacsferry.core.model import Status
from pacsferry.testing.samples import ct_study
from pacsferry.testing.simulator import Fault
from support.loading import place

PLUGINS = registry.load(external=False)
VENDORS = [PLUGINS.named("vendor", name) for name in PLUGINS.names("vendor")]
WITH = {one.name: one for one in VENDORS if one.personality}
KNOWN = known_faults(PLUGINS)
STUDY = ct_study(slices=2, series=2, rows=16, columns=16, accession="ACC100")


def ordered(*texts):
    return [Fault.parse(text, KNOWN) for text in texts]


@pytest.fixture
def there(tmp_path, monkeypatch):
    monkeypatch.setenv("PACSFERRY_STATE", str(tmp_path / "state"))
    with place(tmp_path, STUDY) as made:
        yield made


def test_every_product_with_evidence_has_a_personality():
    assert set(WITH) >= {
        "ge", "agfa-impax", "fuji-synapse", "carestream-vue", "sectra", "vna-async", "siemens-syngo", "philips",
        "dcm4chee", "google-healthcare", "aws-healthimaging", "azure-dicom",
    }  # fmt: skip


@pytest.mark.parametrize("name", WITH)
def test_a_personality_can_be_ordered(name):
    assert [fault.name for fault in ordered(*WITH[name].personality)]


#: The ways that ``tests/app/test_quirks.py``, which loads from each product, does not take.
MORE = [
    (name, over) for name in ("vna-async", "agfa-impax", "dcm4chee", "fuji-synapse") for over in ("c-move", "wado-rs")
]


@pytest.mark.parametrize(("name", "over"), MORE)
def test_a_profile_that_names_the_product_loads(there, name, over):
    there.archive.faults.add(*ordered(*WITH[name].personality))
    there.vendor = name
    loaded = there.load("ACC100", over=over)
    (row,) = loaded.rows
    assert (row.status, row.stored, dict(row.reasons)) == (Status.OK, 4, {})
    assert loaded.exit_code == 0
