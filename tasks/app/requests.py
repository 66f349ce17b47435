"""Check what a browser sends before a callback of a page sees it. A malformed request is answered with 400."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from werkzeug.exceptions import BadRequest

CALLBACKS = "/_dash-update-component"
# A table of overrides of a large company has a few megabytes.
LARGEST_BODY = 32 * 1024 * 1024
DEEPEST = 60
LARGEST_NUMBER = 2**63
SHOWN = 80


class _Part(BaseModel):
    model_config = ConfigDict(strict=True)

    id: str | dict[str, str]
    property: str
    value: Any = None


_Parts = list[_Part | list[_Part]]


class _Body(BaseModel):
    model_config = ConfigDict(strict=True)

    output: str
    outputs: _Part | _Parts
    inputs: _Parts = []
    state: _Parts = []
    changed: list[str] = Field(alias="changedPropIds", default=[])


class CallbackRequests:
    """The check of the requests to the callbacks of an application."""

    def __init__(self, callbacks: Mapping[str, Mapping[str, Any]]) -> None:
        """Take Dash's map of callbacks by output; it may grow until the first request."""
        self._callbacks = callbacks
        self._types: dict[str, list[TypeAdapter[Any]]] = {}

    def check(self, body: Any) -> None:
        """Compare the body of a request with the declaration of its callback and the types of its parameters.

        Raises:
            BadRequest: the body does not fit; the text says where.
        """
        _check_values(body)
        try:
            given = _Body.model_validate(body)
        except ValidationError as error:
            raise BadRequest(_first(error)) from None
        callback = self._callbacks.get(given.output)
        if callback is None or "callback" not in callback:  # one that runs in the browser
            raise BadRequest(f"output: no callback has the output {given.output[:SHOWN]!r}")
        wanted = [*callback["inputs"], *callback["state"]]
        parts = [*given.inputs, *given.state]
        if (len(given.inputs), len(given.state)) != (len(callback["inputs"]), len(callback["state"])):
            raise BadRequest(f"inputs, state: expected {len(callback['inputs'])} and {len(callback['state'])} values")
        for one in given.changed:
            _check_changed(one)
        _check_outputs(given, given.output)
        for declared, part, kind in zip(wanted, parts, self._types_of(given.output, callback), strict=True):
            _check_part(declared, part)
            values = [one.value for one in part] if isinstance(part, list) else part.value
            try:
                kind.validate_python(values, strict=True)
            except ValidationError as error:
                raise BadRequest(f"{declared['id']}.{declared['property']}: {_first(error)}") from None

    def _types_of(self, output: str, callback: Mapping[str, Any]) -> list[TypeAdapter[Any]]:
        """The types of a callback's parameters, one for each input and state."""
        if output not in self._types:
            function = inspect.unwrap(callback["callback"])
            hints = get_type_hints(function)
            found: list[TypeAdapter[Any]] = []
            count = len(callback["inputs"]) + len(callback["state"])
            for name, parameter in inspect.signature(function).parameters.items():
                left = count - len(found) if parameter.kind is inspect.Parameter.VAR_POSITIONAL else 1
                found += [TypeAdapter(hints.get(name, Any))] * left
            self._types[output] = found
        return self._types[output]


def _first(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"{place}: {problem['msg']}"[:300].replace("\n", " ").removeprefix(": ")


def _check_changed(text: str) -> None:
    """The id of a changed property is a name, or a JSON object of names."""
    if text.startswith("{"):
        try:
            known = isinstance(json.loads(text.rpartition(".")[0]), dict)
        except ValueError:
            known = False
        if not known:
            raise BadRequest(f"changedPropIds: {text[:SHOWN]!r} is not the id of a property")


def _check_part(declared: Mapping[str, str], part: _Part | list[_Part]) -> None:
    """Compare the id and property of a value with the declared ones; of a pattern, only the names of its fields."""
    pattern = declared["id"].startswith("{")
    for one in part if isinstance(part, list) else [part]:
        fields = isinstance(one.id, dict) and pattern and set(one.id) == set(json.loads(declared["id"]))
        if one.property != declared["property"] or not (fields or (not pattern and one.id == declared["id"])):
            raise BadRequest(f"{str(one.id)[:SHOWN]}.{one.property[:SHOWN]}: expected {declared['id']}")
        if one.property == "id" and one.value != one.id:
            raise BadRequest(f"{str(one.id)[:SHOWN]}.id: expected the id itself")
    if isinstance(part, list) is not pattern:  # every pattern of the app has an ALL
        raise BadRequest(f"{declared['id']}: expected {'a list' if pattern else 'one value'}")


def _check_outputs(given: _Body, declared: str) -> None:
    """Compare the outputs with the name of the callback, which lists them."""
    several = declared.startswith("..")
    names = declared[2:-2].split("...") if several else [declared]
    outputs = given.outputs if isinstance(given.outputs, list) else [given.outputs]
    if several is not isinstance(given.outputs, list) or len(names) != len(outputs):
        raise BadRequest(f"outputs: expected {len(names)}")
    for name, part in zip(names, outputs, strict=True):
        pattern = name.startswith("{")
        fits = isinstance(part, list) if pattern else isinstance(part, _Part) and f"{part.id}.{part.property}" == name
        if not fits or (isinstance(part, list) and not all(isinstance(one.id, dict) for one in part)):
            raise BadRequest(f"outputs: expected {name[:SHOWN]}")


def _check_values(body: Any) -> None:
    """Refuse text that cannot be stored, numbers beyond 64 bits, and lists that are nested too deeply."""
    waiting = [(body, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > DEEPEST:
            raise BadRequest(f"The body is nested more than {DEEPEST} levels deep")
        if isinstance(value, dict):
            waiting += [(one, depth + 1) for pair in value.items() for one in pair]
        elif isinstance(value, list):
            waiting += [(one, depth + 1) for one in value]
        elif isinstance(value, str):
            if "\0" in value or not _can_be_stored(value):
                raise BadRequest("A text contains a null byte or half of a surrogate pair")
        elif isinstance(value, int | float) and not abs(value) < LARGEST_NUMBER:  # also NaN
            raise BadRequest("A number is not finite or has more than 64 bits")


def _can_be_stored(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
