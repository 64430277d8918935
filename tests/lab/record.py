"""Keep patients: `python3 -m tests.lab.record ID ...` writes tests/cases/ID.json, the facts of a machine with that fault.

tests/test_cases.py examines them again, without root and in no time. To be run anew when a fact gains a field that matters.
"""

import fnmatch
import json
import re
import sys
from pathlib import Path

from tests.lab.fault import at, do, engines
from tests.lab.faults import FAULTS
from tests.lab.machine import Machine

CASES = Path(__file__).parents[1] / "cases"


def main() -> int:
    """Record the faults that match the arguments' globs."""
    chosen = [f for f in FAULTS if any(fnmatch.fnmatch(f.id, pattern) for pattern in sys.argv[1:])]
    for declared in chosen:
        fault = at(declared, engines(declared)[0])
        with Machine.boot(**fault.machine) as machine:
            do(machine, fault.setup)
            do(machine, fault.inject)
            done = machine.doctor(
                *fault.doctor, "--format", "json", "--save", "/tmp/facts", user=fault.user, env=fault.env
            )
            report, facts = json.loads(done.stdout), json.loads(machine.read("/tmp/facts"))
        if report["root_causes"][:1] != [fault.check]:
            print(f"{fault.id}: {report['root_causes']}, not {fault.check}; not kept", file=sys.stderr)
            return 1
        text = json.dumps({"fault": fault.id, "root_causes": report["root_causes"], "saved": facts}, indent=1)
        # The kernel is whoever's ran the lab, and no patient's symptom.
        text = re.sub(r"\b\d+\.\d+\.\d+-[\w.-]+(?=\")", "6.1.0-13-amd64", text)
        (CASES / f"{fault.id.replace(':', '--')}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{fault.id}: {', '.join(report['root_causes'])}")
    return 0 if chosen else 2


if __name__ == "__main__":
    sys.exit(main())
