"""Facts to JSON and back, so that any patient can be examined again elsewhere."""

from __future__ import annotations

import dataclasses
import json
import types
from collections.abc import Iterable, Mapping
from typing import Any, Union, get_args, get_origin, get_type_hints

from dockerdoctor.measure import FactsView, Missing, Probe

SCHEMA_VERSION = 1


class Unreadable(Exception):  # noqa: N818 - a message for the user
    """A file of saved facts that cannot be used; says where and why."""


def dump(facts: Mapping[type, Any]) -> str:
    """Write every fact under its type's name; what is missing is kept with its reason."""
    document = {
        fact.__name__: {"missing": dataclasses.asdict(value)}
        if isinstance(value, Missing)
        else {"value": dataclasses.asdict(value)}
        for fact, value in facts.items()
    }
    return json.dumps({"schema_version": SCHEMA_VERSION, "facts": document}, indent=1, ensure_ascii=False) + "\n"


def load(text: str, probes: Iterable[Probe], given: Iterable[type] = ()) -> FactsView:
    """Read facts back; raises Unreadable. Facts this version does not know are left out."""
    try:
        document = json.loads(text)
        if document["schema_version"] != SCHEMA_VERSION:
            raise Unreadable(f"schema_version is {document['schema_version']}, this doctor reads {SCHEMA_VERSION}")
        saved = dict(document["facts"])
    except (ValueError, TypeError, KeyError) as no:
        raise Unreadable(f"not a file of saved facts: {no}") from None
    facts = FactsView()
    for fact in (*given, *(p.fact for p in probes)):
        entry = saved.get(fact.__name__)
        try:
            if entry is None:
                facts[fact] = Missing("not in the saved facts")
            elif "missing" in entry:
                facts[fact] = Missing(**entry["missing"])
            else:
                facts[fact] = build(fact, entry["value"])
        except (TypeError, ValueError, KeyError) as no:
            raise Unreadable(f"{fact.__name__}: {no}") from None
    return facts


def build(hint: Any, value: Any) -> Any:
    """Make a value of an annotated type out of JSON: the types that facts are made of, and no others."""
    origin = get_origin(hint)
    if hint is Any:
        return value
    if origin in {Union, types.UnionType}:
        (inner,) = (arg for arg in get_args(hint) if arg is not type(None))
        return None if value is None else build(inner, value)
    if origin is tuple:
        inner_types = get_args(hint)
        if len(inner_types) == 2 and inner_types[1] is Ellipsis:
            return tuple(build(inner_types[0], item) for item in value)
        return tuple(build(inner, item) for inner, item in zip(inner_types, value, strict=True))
    if origin is dict or hint is dict:
        return dict(value)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = get_type_hints(hint)
        known = {f.name for f in dataclasses.fields(hint)}
        return hint(**{k: build(hints[k], v) for k, v in value.items() if k in known})
    if hint is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, got {type(value).__name__}")
    return value
