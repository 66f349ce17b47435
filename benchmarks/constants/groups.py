"""The list of the tuned constants."""

from __future__ import annotations

import dataclasses

from benchmarks.constants import demand_groups, evaluation_groups, inventory_groups, model_groups
from benchmarks.constants.record import Constant, resolve

GROUPS = (
    *evaluation_groups.GROUPS,
    *model_groups.GROUPS,
    *demand_groups.GROUPS,
    *inventory_groups.GROUPS,
)


def constants() -> list[Constant]:
    """Every constant of the list, in its order."""
    found = []
    for group in GROUPS:
        owner = resolve(group.path)
        if dataclasses.is_dataclass(owner):
            names = [entry.name for entry in dataclasses.fields(owner)]
            found += [Constant(f"{group.path}.{name}", group, name) for name in names]
        else:
            found.append(Constant(group.path, group, ""))
    return found
