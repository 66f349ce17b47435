"""The base of every group of settings, and what a field says about its place in the settings file."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic.config import JsonDict

# Keys of `Field(json_schema_extra=...)`.
UNIT, EFFECT, KEEPS_PLACE = "unit", "effect", "keeps_place"
# A key of docs/reference/contract.md that few retailers change: it stays in its section, on the second part of the
# settings page. A field with neither this nor `first_page` belongs below `expert:`.
IN_ITS_SECTION: JsonDict = {KEEPS_PLACE: True}


class Strict(BaseModel):
    """A group of settings: frozen, and an unknown key is an error.

    Attributes:
        renamed: old key of this group to the new one; a dotted new key lies deeper. The old spelling is accepted for
            one release, with a warning.
        presence_counts: a key of this group has a meaning even with an empty mapping (`models.arima: {}`), so it stays
            in the group while its own keys are expert settings.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    renamed: ClassVar[dict[str, str]] = {}
    presence_counts: ClassVar[bool] = False


class LibraryParameters(Strict):
    """Parameters that are passed to a library under the library's own names.

    Fields are parameters for which Restock has its own default; a default is replaced if the settings have the
    parameter. Further parameters of the library are passed on as they are.

    Attributes:
        further: parameters without a field that the library accepts. Others are an error: otherwise a misspelled name
            would have no effect.
    """

    model_config = ConfigDict(extra="allow", frozen=True)

    further: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="after")
    def _known_parameters(self) -> Self:
        for name, value in self.passed_on().items():
            if name not in self.further:
                known = ", ".join(sorted({*type(self).model_fields, *self.further}))
                raise ValueError(f"unknown parameter '{name}'; known parameters: {known}")
            if not isinstance(value, (bool, int, float, str)) or (
                isinstance(value, float) and not math.isfinite(value)
            ):
                raise ValueError(f"the parameter {name} is {value!r}; expected a number, a text, true or false")
        return self

    def passed_on(self) -> dict[str, Any]:
        """The further parameters that are set, by name."""
        return dict(self.model_extra or {})


def first_page(unit: str, effect: str) -> JsonDict:
    """Mark a field as one of the settings that a retailer sets: the first part of the settings page.

    Args:
        unit: unit or kind of the value, such as ``periods`` or ``fraction``.
        effect: what changes in the plan or the files if the value changes.
    """
    return {UNIT: unit, EFFECT: effect, KEEPS_PLACE: True}
