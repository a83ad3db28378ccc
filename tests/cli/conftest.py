import pytest

from pacsferry.testing.samples import ct_study, mr_study, secondary_capture
from support.loading import place

CANARIES = ("CANARYID7", "Canary", "QUAY-0009", "Heron")


@pytest.fixture(autouse=True)
def _own_state(own_state):
    pass


@pytest.fixture
def objects():
    """ACC100: a CT; ACC200: an MR with a screenshot, which is held."""
    first = ct_study(
        slices=4, rows=32, columns=32, accession="ACC100", patient_id="CANARYID7", patient_name="Canary^Anna"
    )
    second = mr_study(
        slices=2, rows=32, columns=32, accession="ACC200", patient_id="QUAY-0009", patient_name="Heron^Otto"
    )
    return [*first, *second, secondary_capture(second)]


@pytest.fixture
def there(tmp_path, objects):
    with place(tmp_path, objects) as made:
        made.write()
        yield made


@pytest.fixture
def site(there):
    return str(there.site)
