"""Every fault that the lab can make, one module for each area."""

import importlib
import pkgutil

from tests.lab.fault import Fault

# Each module of this package has `FAULTS: tuple[Fault, ...]`; a new file needs no line here.
FAULTS: tuple[Fault, ...] = tuple(
    fault
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name)
    for fault in importlib.import_module(f"{__name__}.{module.name}").FAULTS
)

if len({fault.id for fault in FAULTS}) < len(FAULTS):
    raise ValueError("two faults have the same id")
