from __future__ import annotations

from typing import Any

import pytest

from flowbot.runtime.toolbox.schema import input_fields, output_fields


def schema(required: list[str] | None = None, **members: Any) -> dict[str, Any]:
    return {"type": "object", "properties": members, "required": list(members) if required is None else required}


POINT = schema(x={"type": "number"}, y={"type": "number"})


@pytest.mark.parametrize(
    ("given", "type_"),
    [
        ({"type": "string"}, "str"),
        ({"type": "integer", "minimum": 1}, "int"),
        ({"enum": ["a", "b"]}, "Literal['a', 'b']"),
        ({"const": "a"}, "Literal['a']"),
        ({"type": "array", "items": {"type": "boolean"}}, "list[bool]"),
        ({"$ref": "#/$defs/Point"}, "{x: float, y: float}"),
        ({"type": "array", "items": {"$ref": "#/$defs/Point"}}, "list[{x: float, y: float}]"),
        (schema(x={"type": "string"}, required=[]), "object"),
        ({"type": "object"}, "object"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "str"),
        ({"type": ["integer", "null"]}, "int"),
        ({"anyOf": [{"type": "integer"}, {"type": "number"}]}, "float"),
        ({"anyOf": [{"type": "integer"}, {"type": "string"}]}, "str"),
        ({"anyOf": [{"type": "object"}, {"$ref": "#/$defs/Point"}]}, "object"),
        ({"type": "array"}, "list[str]"),
        ({"enum": [1, 2]}, "str"),
        ({"$ref": "#/$defs/Self"}, "str"),
        ({"$ref": "#/$defs/Missing"}, "str"),
        ({}, "str"),
        (True, "str"),
    ],
)
def test_an_inputs_type_is_the_narrowest_that_holds_what_the_schema_allows(given: Any, type_: str) -> None:
    root = {**schema(value=given), "$defs": {"Point": POINT, "Self": {"$ref": "#/$defs/Self"}}}
    fields, _ = input_fields(root)
    assert str(fields["value"].type) == type_


def test_names_that_no_workflow_can_use_are_changed_and_descriptions_kept() -> None:
    fields, optional = input_fields(
        schema(["user-id"], **{"user-id": {"type": "string", "description": "who\n  asks"}, "from": {"type": "string"}})
    )
    assert {name: field.name for name, field in fields.items()} == {"user-id": "user_id", "from": "from_"}
    assert fields["user-id"].about == "who asks"
    assert optional == {"from_"}
    with pytest.raises(ValueError, match="too alike"):
        input_fields(schema(**{"a-b": {}, "a_b": {}}))
    with pytest.raises(ValueError, match="named members"):
        input_fields({"anyOf": [POINT, POINT]})


@pytest.mark.parametrize(
    ("given", "outputs", "taken"),
    [
        (None, ["result: str"], "text"),
        (POINT, ["x: float", "y: float"], "members"),
        (schema(result={"type": "integer"}), ["result: int"], "members"),
        (
            schema(x={"type": "string"}, y={"anyOf": [{"type": "string"}, {"type": "null"}]}),
            ["result: object"],
            "whole",
        ),
        (schema(x={"type": "string"}, y={"type": "string"}, required=["x"]), ["result: object"], "whole"),
        (schema(**{"a-b": {"type": "string"}}), ["result: object"], "whole"),
        (schema(**{"from": {"type": "string"}}), ["result: {from: str}"], "whole"),
        ({"type": "array", "items": {"type": "string"}}, ["result: list[str]"], "whole"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, ["result: str"], "text"),
    ],
)
def test_outputs_are_members_only_where_all_of_them_always_fit(given: Any, outputs: list[str], taken: str) -> None:
    fields, found = output_fields(given)
    assert [f"{field.name}: {field.type}" for field in fields] == outputs
    assert found == taken
