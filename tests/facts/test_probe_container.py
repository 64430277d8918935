"""What is left of probe containers is removed before the program ends, and no engine holds it up for long."""

import threading
import time

from dockerdoctor.facts import probe_container


class Stuck:
    """A lab whose engine neither closes nor removes anything in time."""

    def __init__(self):
        self.closed = threading.Event()
        self.abandoned = False
        self.sweeps = 0

    def sweep(self):
        self.sweeps += 1
        time.sleep(1)


def test_all_labs_get_the_same_time_and_each_gets_it_once(monkeypatch):
    labs = {Stuck() for _ in range(5)}
    monkeypatch.setattr(probe_container, "LABS", labs)
    monkeypatch.setattr(probe_container, "CLOSING", 0.1)
    stuck, began = tuple(labs), time.monotonic()
    probe_container.sweep_abandoned()
    probe_container.sweep_abandoned()
    assert time.monotonic() - began < 0.8  # 5 times 0.2 s, one after the other, twice
    assert all(lab.abandoned and lab.sweeps == 1 for lab in stuck)
