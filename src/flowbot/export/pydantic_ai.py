"""A workflow for Pydantic AI: an agent for each step that asks a model, and a function that wires them."""

from __future__ import annotations

from typing import Any

from .exported import Exported, ExportedStep, Place
from .framework import Framework, typed_dict
from .python_text import quoted
from .python_wiring import Names, flow_source

_KNOWN = ("temperature", "max_tokens", "max_completion_tokens")


class PydanticAI(Framework):
    """One file for pydantic-ai 2."""

    name = "pydantic-ai"
    about = "an agent a step, for Pydantic AI"
    needs = ("pydantic-ai-slim[openai]>=2.68,<3",)
    modules = ("pydantic_ai", "openai")
    own = frozenset({"says", "offered"})

    def refuses(self, exported: Exported) -> list[str]:
        """Besides, a prompt that does not end with the user's words."""
        return super().refuses(exported) + [
            f"step {step.path} ends with a message of the {step.asked.user.role}, and an agent is asked by its user: langgraph can say it"
            for step in exported.asking
            if step.asked is not None and step.asked.user.role != "user"
        ]

    def context(self, exported: Exported, names: Names) -> dict[str, Any]:
        """The agents by the names of their steps, and the lines of the function."""
        agents = {names.functions[step.path]: _agent(step, names) for step in exported.asking}
        return {"agents": agents, "flow": flow_source(exported, names)}


def _agent(step: ExportedStep, names: Names) -> dict[str, Any]:
    asked = step.asked
    assert asked is not None
    first, field, name = asked.messages[0], asked.fields[0], names.functions[step.path].removesuffix("_step")
    fixed = not any(isinstance(part, Place) for part in first.parts) and asked.system == asked.system.strip()
    given = {name: value for name, value in asked.settings.items() if name not in ("tools", "tool_choice")}
    settings = {name.replace("completion_", ""): given[name] for name in _KNOWN if name in given}
    beside = {name: value for name, value in given.items() if name not in _KNOWN}
    return {
        "agent": f"{name}_agent",
        "caller": f"{name}_caller",
        "calls": bool(asked.tools) and not asked.plain,
        "instructed": len(asked.messages) > 1 and first.role == "system" and fixed,
        "type": typed_dict("Reply", [(each.name, each.type) for each in asked.fields]),
        "settings": settings | ({"extra_body": beside} if beside else {}),
        "text": quoted(field.name) if asked.plain and field.type.kind == "str" else "",
    }
