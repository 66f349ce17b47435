"""Requests judged by botocore's model of the service, in the words of AWS."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

import botocore.session
from botocore.model import Shape

from tests.aws_twin.errors import refuse

ALGORITHM = "forecasting-deepar"


@functools.cache
def _service() -> Any:
    return botocore.session.get_session().get_service_model("sagemaker")


def known_operations() -> list[str]:
    return list(_service().operation_names)


def check_request(operation: str, request: dict[str, Any]) -> None:
    """Refuse what breaks the model's required members, lengths, patterns, ranges and enumerations."""
    shape = _service().operation_model(operation).input_shape
    found = list(_problems(shape, request, ""))
    if found:
        count = "1 validation error" if len(found) == 1 else f"{len(found)} validation errors"
        raise refuse(f"{count} detected: " + "; ".join(found))


def require(request: dict[str, Any], *members: str) -> None:
    """Refuse a request without a member that the model leaves open but DeepAR needs."""
    missing = [member for member in members if not request.get(member)]
    if missing:
        raise refuse(
            f"{len(missing)} validation error{'s' * (len(missing) > 1)} detected: "
            + "; ".join(_broken(None, _lower(member), "Member must not be null") for member in missing)
        )


def echo(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """What a Describe operation repeats of the request; parts that it does not have come back empty where they may."""
    members = _service().operation_model(operation).output_shape.members
    empty: dict[str, Any] = {"structure": {}, "map": {}, "list": []}
    answer = {
        name: request.get(name, None if getattr(shape, "required_members", ()) else empty.get(shape.type_name))
        for name, shape in members.items()
    }
    return {name: value for name, value in answer.items() if value not in (None, "")}


def check_image(image: str | None, region: str) -> None:
    """The twin plays one algorithm, whose image lies in the region of the call."""
    if image is None or f"/{ALGORITHM}:" not in image:
        raise refuse(f"The twin of AWS plays only the built-in algorithm {ALGORITHM}; the image was {image}.")
    if f".ecr.{region}." not in image:
        raise refuse(f"Invalid image URI {image}. The image must lie in the region of the call, {region}.")


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def _broken(value: Any, path: str, constraint: str) -> str:
    shown = "null" if value is None else f"'{value}'"
    return f"Value {shown} at '{path}' failed to satisfy constraint: {constraint}"


def _problems(shape: Shape, value: Any, path: str) -> Iterator[str]:
    kind = shape.type_name
    if kind == "structure":
        yield from _problems_of_structure(shape, value, path)
    elif kind == "list":
        yield from _out_of_bounds(shape, value, path, len(value), "length")
        for number, member in enumerate(value, start=1):
            yield from _problems(shape.member, member, f"{path}.{number}.member")
    elif kind == "map":
        yield from _out_of_bounds(shape, value, path, len(value), "length")
        for key, member in value.items():
            yield from _problems(shape.key, key, path)
            yield from _problems(shape.value, member, f"{path}.{key}.member")
    elif kind == "string":
        yield from _problems_of_text(shape, value, path)
    elif kind in ("integer", "long", "float", "double"):
        yield from _out_of_bounds(shape, value, path, value, "value")


def _problems_of_structure(shape: Any, value: dict[str, Any], path: str) -> Iterator[str]:
    inside = f"{path}." if path else ""
    for name in shape.required_members:
        if value.get(name) is None:
            yield _broken(None, inside + _lower(name), "Member must not be null")
    for name, member in value.items():
        if name in shape.members and member is not None:
            yield from _problems(shape.members[name], member, inside + _lower(name))


def _problems_of_text(shape: Any, value: str, path: str) -> Iterator[str]:
    yield from _out_of_bounds(shape, value, path, len(value), "length")
    pattern = shape.metadata.get("pattern")
    if pattern and not _fits(pattern, value):
        yield _broken(value, path, f"Member must satisfy regular expression pattern: {pattern}")
    if shape.enum and value not in shape.enum:
        yield _broken(value, path, f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")


def _fits(pattern: str, value: str) -> bool:
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:  # Java's classes, such as those of tag keys
        return True


def _out_of_bounds(shape: Shape, value: Any, path: str, size: float, word: str) -> Iterator[str]:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield _broken(value, path, f"Member must have {word} greater than or equal to {least}")
    if most is not None and size > most:
        yield _broken(value, path, f"Member must have {word} less than or equal to {most}")
