"""The ground floor: fields, types, scores, usage, errors. Imports nothing of FlowBot's other parts."""

from .canonical import canonical_json, stable_hash
from .errors import (
    BudgetExceeded,
    DeniedError,
    FlowBotError,
    InfrastructureError,
    ModelError,
    Paused,
    RefusedError,
    StepError,
    UserError,
)
from .field import Field, ToolSignature, Values, fields_schema, is_name
from .types import Type, TypeSyntaxError, ValueMismatch, object_schema
from .values import Score, Usage

__all__ = [
    "BudgetExceeded",
    "DeniedError",
    "Field",
    "FlowBotError",
    "InfrastructureError",
    "ModelError",
    "Paused",
    "RefusedError",
    "Score",
    "StepError",
    "ToolSignature",
    "Type",
    "TypeSyntaxError",
    "Usage",
    "UserError",
    "ValueMismatch",
    "Values",
    "canonical_json",
    "fields_schema",
    "is_name",
    "object_schema",
    "stable_hash",
]
