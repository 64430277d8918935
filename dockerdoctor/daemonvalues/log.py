"""Options of the log drivers that Docker brings."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dockerdoctor.daemonvalues.wrong import (
    REMOVE,
    SIZE,
    Engine,
    Settings,
    Wrong,
)

# Options of any driver (moby, daemon/logger/factory.go), and of each one that Docker brings.
ANY_LOG = frozenset(["mode", "max-buffer-size", "cache-disabled", "cache-max-size", "cache-max-file", "cache-compress"])


LABELLED = frozenset(["labels", "labels-regex", "env", "env-regex", "tag"])


LOG_OPTIONS = {
    "json-file": LABELLED | {"max-size", "max-file", "compress"},
    "local": frozenset({"max-size", "max-file", "compress"}),
    "journald": LABELLED,
    "syslog": LABELLED
    | {
        f"syslog-{n}"
        for n in ["address", "facility", "tls-ca-cert", "tls-cert", "tls-key", "tls-skip-verify", "format"]
    },
}


TRUTH = frozenset(
    ["1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"]
)  # strconv.ParseBool


def log_options(settings: Settings, _engine: Engine) -> Iterator[Wrong]:
    """Options that the driver knows; what it cannot read stops each container instead of the daemon."""
    options = {k: str(v) for k, v in (settings.get("log-opts") or {}).items() if v is not None}
    driver = settings.get("log-driver") or "json-file"
    if driver not in LOG_OPTIONS or not options:
        return
    new: dict[str, str] = {}
    reasons = []
    for name, value in options.items():
        if name not in LOG_OPTIONS[driver] | ANY_LOG:
            meant = _log_option(name, driver)
            reasons.append(f"log-opts: {driver} has no option {name!r}" + (f" (meant: {meant!r}?)" if meant else ""))
            if meant and meant not in options:
                new[meant] = value
        elif not _log_value(driver, name, value, options):
            reasons.append(f"log-opts: {name} cannot be {value!r}")
        else:
            new[name] = value
    if reasons:
        yield Wrong("log-opts", "; ".join(reasons), new or REMOVE)


def _log_option(name: str, driver: str) -> str:
    plain = name.lower().replace("_", "-").replace("maxsize", "max-size").replace("maxfile", "max-file")
    near = [n for n in sorted(LOG_OPTIONS[driver] | ANY_LOG) if n in {plain, plain.removesuffix("s"), f"{plain}s"}]
    return near[0] if near else ""


def _log_value(driver: str, name: str, value: str, options: Mapping[str, str]) -> bool:
    if name == "mode":
        return value in {"blocking", "non-blocking", ""}
    if name == "max-buffer-size":
        return options.get("mode") == "non-blocking" and bool(SIZE.fullmatch(value))
    if name in {"cache-disabled", "cache-compress"}:
        return value in TRUTH
    if driver not in {"json-file", "local"}:
        return True
    files = int(options["max-file"]) if options.get("max-file", "").isdigit() else 1
    if name == "max-size":
        return bool(SIZE.fullmatch(value)) and (driver == "local" or float(re.split(r"[^\d.]", value)[0] or 0) > 0)
    if name == "max-file":
        return value.isdigit() and int(value) > 0
    if name == "compress":
        rotates = driver == "local" or (files > 1 and "max-size" in options)
        return value in TRUTH and (rotates or value.lower().startswith(("0", "f")))
    return True
