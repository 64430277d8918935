"""What Go's JSON decoder takes for each type of key, and the value that was meant where it does not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dockerdoctor.daemonkeys import (
    ADDRESS,
    ADDRESSES,
    BOOL,
    BOOLS,
    INT,
    MAP,
    MAPS,
    OBJECT,
    POOLS,
    PROXIES,
    PROXY_KEYS,
    RUNTIMES,
    SIZE,
    STRING,
    STRINGS,
    ULIMITS,
)  # fmt: skip

INT64 = 1 << 63
YES = {"true", "yes", "on", "1", "enabled"}
NO = {"false", "no", "off", "0", "disabled"}
# No conversion is known.
NOTHING = object()


def fits(kind: str, value: Any) -> bool:
    """Whether the decoder takes a value for a type; null leaves the default in place."""
    if value is None:
        return kind != SIZE
    if kind == BOOL:
        return isinstance(value, bool)
    if kind == INT:
        return _whole(value)
    if kind in {STRING, SIZE, ADDRESS}:
        return isinstance(value, str)
    if kind in {STRINGS, ADDRESSES}:
        return isinstance(value, list) and all(i is None or isinstance(i, str) for i in value)
    if kind == POOLS:
        return isinstance(value, list) and all(i is None or _fields(i, base=STRING, size=INT) for i in value)
    if not isinstance(value, dict):
        return False
    if kind == PROXIES:
        return _fields(value, **dict.fromkeys(PROXY_KEYS, STRING))
    if kind == RUNTIMES:
        return all(
            i is None or _fields(i, path=STRING, runtimeargs=STRINGS, runtimetype=STRING) for i in value.values()
        )
    if kind == ULIMITS:
        return all(i is None or _fields(i, name=STRING, hard=INT, soft=INT) for i in value.values())
    inner = {MAP: STRING, BOOLS: BOOL, MAPS: MAP, OBJECT: ""}[kind]
    return not inner or all(fits(inner, i) for i in value.values())


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and -INT64 <= value < INT64


def _fields(value: Any, **types: str) -> bool:
    """Whether an object's fields are of their types; names are compared without regard to case, as Go does."""
    return isinstance(value, dict) and all(fits(types[k.lower()], v) for k, v in value.items() if k.lower() in types)


def converted(kind: str, value: Any) -> Any:
    """The value of the right type that was meant; NOTHING where that is a guess."""
    if fits(kind, value):
        return value
    new = _converted(kind, value)
    return new if new is not NOTHING and fits(kind, new) else NOTHING


def _converted(kind: str, value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1 and kind in {STRING, ADDRESS, SIZE, INT, BOOL}:
        return _converted(kind, value[0])
    if kind == BOOL:
        word = str(value).strip().lower()
        return True if word in YES else False if word in NO else NOTHING
    if kind == INT:
        return _integer(value)
    if kind in {STRING, SIZE, ADDRESS}:
        return _text(value)
    if kind in {STRINGS, ADDRESSES}:
        return _strings(value)
    if kind == POOLS:
        pools = [value] if isinstance(value, dict) else value
        return [_pool(p) for p in pools] if isinstance(pools, list) else NOTHING
    if kind in {MAP, BOOLS}:
        return _object(STRING if kind == MAP else BOOL, value)
    if kind == PROXIES and isinstance(value, dict):
        return {k: ",".join(map(str, v)) if isinstance(v, list) else _text(v) for k, v in value.items()}
    if kind == ULIMITS and isinstance(value, dict):
        return {name: _limit(name, limit) for name, limit in value.items()}
    if kind == RUNTIMES and isinstance(value, dict):
        return {name: {"path": r} if isinstance(r, str) else r for name, r in value.items()}
    return NOTHING


def _integer(value: Any) -> Any:
    if isinstance(value, float) and value == int(value):
        return int(value)
    word = str(value).strip()
    return int(word) if word.lstrip("-").isdigit() else NOTHING


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, (str, int)) else NOTHING


def _strings(value: Any) -> Any:
    if isinstance(value, str):
        return [part for part in value.replace(",", " ").split() if part]
    if isinstance(value, list):
        texts = [_text(i) for i in value if i is not None]
        return NOTHING if NOTHING in texts else texts
    if isinstance(value, dict):
        # {"key": "value"} for a list of "key=value"
        texts = [_text(i) for i in value.values()]
        return NOTHING if NOTHING in texts else [f"{k}={t}" for k, t in zip(value, texts, strict=True)]
    return NOTHING


def _object(inner: str, value: Any) -> Any:
    if isinstance(value, list) and all(isinstance(i, str) and "=" in i for i in value):
        value = dict(i.split("=", 1) for i in value)
    if isinstance(value, list) and all(isinstance(i, dict) for i in value):
        value = {k: v for i in value for k, v in i.items()}
    if not isinstance(value, Mapping):
        return NOTHING
    new = {k: v if fits(inner, v) else _converted(inner, v) for k, v in value.items()}
    return NOTHING if any(v is NOTHING for v in new.values()) else new


def _pool(pool: Any) -> Any:
    if not isinstance(pool, dict):
        return pool
    return {k: _integer(v) if k.lower() == "size" and _integer(v) is not NOTHING else v for k, v in pool.items()}


def _limit(name: str, limit: Any) -> Any:
    if _integer(limit) is not NOTHING and not isinstance(limit, dict):
        return {"Name": name, "Hard": _integer(limit), "Soft": _integer(limit)}
    if not isinstance(limit, dict):
        return limit
    return {
        k: _integer(v) if k.lower() in {"hard", "soft"} and _integer(v) is not NOTHING else v for k, v in limit.items()
    }
