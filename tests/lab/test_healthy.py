"""The doctor finds no error on machines that work."""

import pytest

from tests.lab.fault import prove_healthy
from tests.lab.healthy import HEALTHY

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("healthy", HEALTHY, ids=lambda healthy: healthy.id)
def test_healthy(healthy):
    prove_healthy(healthy)
