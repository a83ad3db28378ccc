import pytest


@pytest.fixture(autouse=True)
def _own_state(own_state):
    pass
