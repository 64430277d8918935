"""Two faults at once: with `make matrix`, since each of them is proven by itself with every `make test`."""

import pytest

from tests.lab.fault import prove_both
from tests.lab.faults import FAULTS
from tests.lab.pairs import PAIRS

pytestmark = pytest.mark.lab

BY_ID = {fault.id: fault for fault in FAULTS}
ALWAYS = 3  # the first ones, in `make test` too


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(*pair, marks=() if number < ALWAYS else pytest.mark.matrix) for number, pair in enumerate(PAIRS)],
)
def test_both_are_named(first, second):
    prove_both(BY_ID[first], BY_ID[second])
