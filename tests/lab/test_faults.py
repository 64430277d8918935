"""Every fault is found, named as the one root cause, and cured where a cure is declared."""

import os

import pytest

from tests.lab.fault import prove
from tests.lab.faults import FAULTS

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_fault(fault):
    # DOCKERDOCTOR_LAB_QUICK=1 leaves out the examination of the machine before it is broken.
    prove(fault, control="DOCKERDOCTOR_LAB_QUICK" not in os.environ)
