"""As much of JSON Schema as the API's description uses. Raises AssertionError where a value does not fit."""

import re
from datetime import datetime
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "null": (type(None),),
}
_KNOWN = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "pattern", "format"),
    *("minimum", "maximum", "default", "description", "$ref"),
}


def check(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> None:
    """Check a value; `root` is the whole description, in which references are looked up."""
    assert not schema.keys() - _KNOWN, schema.keys() - _KNOWN
    if "$ref" in schema:
        for step in schema["$ref"].removeprefix("#/").split("/"):
            schema = root if step == "components" else schema
            schema = schema[step]
        check(value, schema, root)
        return
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    fitting = [kind for kind in kinds if isinstance(value, _TYPES[kind])]
    assert fitting, (value, kinds)
    assert not isinstance(value, bool) or "boolean" in kinds
    if "enum" in schema:
        assert value in schema["enum"]
    if isinstance(value, str):
        _text(value, schema)
    elif isinstance(value, dict):
        _object(value, schema, root)
    elif isinstance(value, list):
        for item in value:
            check(item, schema["items"], root)
    elif isinstance(value, int | float):
        assert schema.get("minimum", value) <= value <= schema.get("maximum", value)


def _text(value: str, schema: dict[str, Any]) -> None:
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), (value, schema["pattern"])
    if schema.get("format") == "date-time":
        assert datetime.fromisoformat(value).tzinfo is not None


def _object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any]) -> None:
    properties = schema.get("properties", {})
    assert set(schema.get("required", ())) <= value.keys()
    more = schema.get("additionalProperties", True)
    for name, item in value.items():
        if name in properties:
            check(item, properties[name], root)
        else:
            assert more is not False, name
            check(item, more, root)
