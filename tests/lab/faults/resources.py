"""Faults of what the kernel rations."""

from tests.lab.fault import Fault

FAULTS = (
    Fault(
        "res-nofile-too-low",
        "resources.open-files",
        # As many as it has now.
        inject="n=$(ls /proc/$(pidof dockerd)/fd | wc -l); prlimit --nofile=$n:$n --pid $(pidof dockerd)",
        broken="timeout 5 docker ps",
        verify_fix=True,
    ),
)
