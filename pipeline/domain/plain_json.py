"""JSON as every program reads it: it has no NaN and no infinity, so what could not be measured is null."""

import json
import math
from collections.abc import Mapping
from typing import Any


def plain_json(value: Any, *, indent: int | None = None) -> str:
    """Times and whatever else JSON does not know are texts."""
    return json.dumps(_measured(value), ensure_ascii=False, indent=indent, default=str, allow_nan=False)


def _measured(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _measured(one) for name, one in value.items()}
    return [_measured(one) for one in value] if isinstance(value, list | tuple) else value
