"""JSON of the wire to the dataclasses of ``glyphmill.types``, and back."""

from __future__ import annotations

import dataclasses
import functools
import re
import typing
from typing import Any, Dict, Literal, Mapping, Tuple, Type, TypeVar, Union

from . import types

T = TypeVar("T")


def decode(kind: Type[T], data: Mapping[str, Any]) -> T:
    """The object; fields that a newer API has more are left out."""
    fields = _fields(kind)  # type: ignore[arg-type]
    values = {name: _value(hint, data[wire]) for name, wire, hint in fields if wire in data}
    missing = [name for name, _, _ in fields if name not in values]
    return kind(**values, **dict.fromkeys(missing))


def encode(value: Any) -> Any:
    """What the API said, as JSON."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        optional = {field.name for field in dataclasses.fields(value) if field.default is None}
        pairs = ((name, wire, getattr(value, name)) for name, wire, _ in _fields(type(value)))
        return {wire: encode(item) for name, wire, item in pairs if not (item is None and name in optional)}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match.group(1).upper(), name)


@functools.lru_cache(maxsize=None)
def _fields(kind: Any) -> Tuple[Tuple[str, str, Any], ...]:
    """Name, name on the wire, and type of each field."""
    # Handles add what is no field.
    wire_type = next(base for base in kind.__mro__ if base.__module__ == types.__name__)
    hints = typing.get_type_hints(wire_type)
    names = [field.name for field in dataclasses.fields(wire_type)]
    return tuple((name, camel(name), hints[name]) for name in names)


def _value(hint: Any, data: Any) -> Any:
    origin = typing.get_origin(hint)
    arguments = typing.get_args(hint)
    if data is None:
        return None
    if origin is Union:
        return _value(_chosen(arguments, data), data)
    if origin is list:
        return [_value(arguments[0], item) for item in data]
    if origin is dict:
        return {key: _value(arguments[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode(hint, data)
    return data


def _chosen(choices: Tuple[Any, ...], data: Any) -> Any:
    """The one of a union whose literals are what the data says; the last where none is: a newer API may have others."""
    kinds = [choice for choice in choices if choice is not type(None)]
    return next((kind for kind in kinds if _fits(kind, data)), kinds[-1])


def _fits(kind: Any, data: Any) -> bool:
    if not dataclasses.is_dataclass(kind) or not isinstance(kind, type):
        return not isinstance(data, dict)
    if not isinstance(data, dict):
        return False
    return all(
        typing.get_origin(hint) is not Literal or data.get(wire) in typing.get_args(hint)
        for _, wire, hint in _fields(kind)
    )


def settings_to_wire(settings: Mapping[str, Any]) -> Dict[str, Any]:
    """Keyword arguments as the API names them. What is a name of the caller's own, such as in metadata, stays."""
    return {camel(name): _setting(name, value) for name, value in settings.items() if value is not None}


_nested = ("options", "webhook", "manifest", "prefix")


def _setting(name: str, value: Any) -> Any:
    if name in _nested and isinstance(value, Mapping):
        return {camel(key): item for key, item in value.items() if item is not None}
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value
