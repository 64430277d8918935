"""The contract of `doctor check --format json`, from its types: as a JSON Schema, and as a table for people."""

import json
import types
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any, get_args, get_origin, get_type_hints, is_typeddict

from dockerdoctor.render.json import SCHEMA_VERSION, Document

SCALARS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def schema() -> str:
    """Give the JSON Schema; what it does not know is allowed, since fields are added."""
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:dockerdoctor:report:{SCHEMA_VERSION}",
        "title": "The report of `doctor check --format json`",
    }
    return json.dumps(head | shape(Document), indent=2) + "\n"


def shape(of: Any) -> dict[str, Any]:
    """Say in JSON Schema what a type says in Python."""
    if get_origin(of) is Annotated:
        inner, words = get_args(of)
        return shape(inner) | {"description": words}
    if get_origin(of) is types.UnionType:
        (inner,) = (one for one in get_args(of) if one is not type(None))
        return {"type": [shape(inner)["type"], "null"]}
    if is_typeddict(of):
        fields = get_type_hints(of, include_extras=True)
        return {
            "type": "object",
            "properties": {name: shape(one) for name, one in fields.items()},
            "required": list(fields),
        }
    if get_origin(of) is list:
        return {"type": "array", "items": shape(get_args(of)[0])}
    if get_origin(of) is dict:
        keys, value = get_args(of)
        names = [member.value for member in keys]
        return {"type": "object", "properties": {name: shape(value) for name in names}, "required": names}
    if isinstance(of, type) and issubclass(of, Enum):
        return {"enum": [member.value for member in of]}
    return {"type": SCALARS[of]}


def table(note: str) -> str:
    """Give the page about it."""
    lines = ["# `doctor check --format json`", "", note, ""]
    lines += [
        f"`schema_version` is {SCHEMA_VERSION}. Fields are added, never removed or given another meaning: a program that",
        "reads this ignores what it does not know. [report.schema.json](report.schema.json) says the same as a JSON Schema.",
        "",
        "| field | type | meaning |",
        "|---|---|---|",
    ]
    return "\n".join([*lines, *_rows(shape(Document), ""), ""])


def _rows(of: dict[str, Any], prefix: str) -> Iterator[str]:
    for name, one in of["properties"].items():
        items = one.get("items", {})
        if "properties" in items:
            if "description" in one:
                yield f"| `{prefix}{name}` | array | {one['description']} |"
            yield from _rows(items, f"{prefix}{name}[].")
        elif "properties" in one and "description" not in one:
            yield from _rows(one, f"{prefix}{name}.")
        else:
            yield f"| `{prefix}{name}` | {_type(one)} | {one['description']} |"


def _type(one: dict[str, Any]) -> str:
    if "enum" in one:
        return ", ".join(f'`"{value}"`' for value in one["enum"])
    if "items" in one:
        return f"array of {one['items']['type']}s"
    if "properties" in one:
        return f"object: {', '.join(f'`{name}`' for name in one['properties'])}"
    return " or ".join(one["type"]) if isinstance(one["type"], list) else str(one["type"])
