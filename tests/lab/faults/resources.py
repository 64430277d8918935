"""Faults of what the kernel rations."""

from tests.lab.fault import Fault

FAULTS = (
    Fault(
        "res-nofile-too-low",
        "resources.open-files",
        # Fewer than it has open now: it may open no more.
        inject="n=$(ls /proc/$(pidof dockerd)/fd | wc -l); prlimit --nofile=$((n-3)): --pid $(pidof dockerd)",
        broken="timeout 5 docker ps",
        verify_fix=True,
    ),
)
