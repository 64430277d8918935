"""Every fault is found, named as the one root cause, and cured where a cure is declared."""

import pytest

from tests.lab.fault import prove
from tests.lab.faults import FAULTS
from tests.lab.healthy import HEALTHY
from tests.lab.matrix import SAMPLE, cases, controlled, require

pytestmark = pytest.mark.lab

if unknown := SAMPLE - {patient.id for patient in (*FAULTS, *HEALTHY)}:
    raise ValueError(f"the sample names machines that nobody declares: {', '.join(sorted(unknown))}")


@pytest.mark.parametrize(("fault", "engine"), cases(FAULTS))
def test_fault(fault, engine):
    require(engine)
    prove(fault, engine=engine, control=controlled(fault))
