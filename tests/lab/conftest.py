"""Where the lab cannot run, its tests are skipped with the reason; what a killed session left is swept first."""

import pytest

from tests.lab.images import registry_storage
from tests.lab.prepare import check_host
from tests.lab.slot import sweep
from tests.lab.store import LabError


@pytest.fixture(scope="session", autouse=True)
def lab():
    try:
        check_host()
        sweep()
        registry_storage()
    except LabError as reason:
        pytest.skip(str(reason))
