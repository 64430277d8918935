"""The doctor finds no error on machines that work."""

import pytest

from tests.lab.fault import prove_healthy
from tests.lab.healthy import HEALTHY
from tests.lab.matrix import cases, require

pytestmark = pytest.mark.lab


@pytest.mark.parametrize(("healthy", "engine"), cases(HEALTHY))
def test_healthy(healthy, engine):
    require(engine)
    prove_healthy(healthy, engine=engine)
