"""The lab's declarations hold together: what they name is there, and named once."""

import fnmatch
from collections import Counter

from dockerdoctor.checks import CATALOGUE
from tests.lab.fault import at, engines
from tests.lab.faults import FAULTS
from tests.lab.healthy import HEALTHY, STATES
from tests.lab.lookalikes import LOOK_ALIKES
from tests.lab.pairs import PAIRS
from tests.lab.repairs import BY_HAND

BY_ID = {fault.id: fault for fault in FAULTS}


def test_ids_are_given_once():
    counts = Counter(patient.id for patient in (*FAULTS, *HEALTHY))
    assert [name for name, count in counts.items() if count > 1] == []


def test_checks_are_in_the_catalogue():
    named = {
        check for f in FAULTS for e in engines(f) for check in (at(f, e).check, *at(f, e).with_, *at(f, e).symptoms)
    }
    assert named - {check.id for check in CATALOGUE} == set()


def test_pairs_and_states_are_declared():
    assert {name for pair in (*PAIRS, *LOOK_ALIKES) for name in pair} - set(BY_ID) == set()
    assert [pattern for pattern in BY_HAND if not fnmatch.filter(BY_ID, pattern)] == []
    assert {machine for _, machine in STATES} - {healthy.id for healthy in HEALTHY} == set()


def test_look_alikes_have_names_of_their_own():
    assert [pair for pair in LOOK_ALIKES if BY_ID[pair[0]].check == BY_ID[pair[1]].check] == []
