"""Values of a workflow as Python source. What a workflow says is only ever a literal: nothing in it can become code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flowbot.fields import Type
from flowbot.workflow.conditions import All, AnyOf, Condition, Not, Test

from .exported import Place

WIDTH = 110
STEP = "    "


@dataclass(frozen=True, slots=True)
class Names:
    """What things are called in the file.

    Args:
        functions: of the steps, by path.
        tools: of the tools, by name.
        taken: names that no variable may have.
    """

    functions: Mapping[str, str]
    tools: Mapping[str, str]
    taken: frozenset[str]

    def variable(self, name: str) -> str:
        """The variable of a step, an input, or what a body is handed."""
        return f"{name}_" if name in self.taken else name


def text_source(parts: Sequence[str | Place], show: Callable[[str], str]) -> list[str]:
    """Literals, one a line of the text, that stand side by side for texts and places.

    Args:
        parts: texts and places.
        show: the expression for a place; without quotes, backslashes and braces.
    """
    if len(parts) == 1 and isinstance(parts[0], Place):
        return [show(parts[0].name)]
    lines: list[list[str | Place]] = [[]]
    for part in parts:
        for number, piece in enumerate([part] if isinstance(part, Place) else part.splitlines(keepends=True)):
            if number or (lines[-1] and isinstance(lines[-1][-1], str) and lines[-1][-1].endswith("\n")):
                lines.append([])
            lines[-1].append(piece)
    return [_literal(line, show) for line in lines]


def kind_source(kind: Type) -> str:
    """A type as the pieces have it."""
    match kind.kind:
        case "list":
            return f"[{kind_source(kind.item)}]" if kind.item else "[dict]"
        case "literal":
            return f"({', '.join(map(quoted, kind.options))}{',' * (len(kind.options) == 1)})"
        case "object" if kind.members:
            return members_source({name: kind_source(member) for name, member in kind.members})
        case "object":
            return "dict"
        case plain:
            return plain


def members_source(members: Mapping[str, str]) -> str:
    """A dict of expressions."""
    return "{" + ", ".join(f"{quoted(name)}: {each}" for name, each in members.items()) + "}"


def quoted(text: str) -> str:
    """A text as a literal, in double quotes unless it has some and no single ones."""
    return repr(text) if '"' in text and "'" not in text else f'"{_escaped(text)}"'


def docstring(text: str) -> str:
    """A text within three double quotes, which nothing in it can close."""
    escaped = (_escaped(line.rstrip()).replace('\\"', '"').replace('""', '"\\"') for line in text.splitlines())
    body = "\n".join(escaped)
    return f'"""{body}\n"""' if "\n" in body else f'"""{body}{" " * body.endswith(chr(34))}"""'


def call_source(name: str, arguments: Sequence[str]) -> str:
    """A call, an argument a line where it is long."""
    flat = f"{name}({', '.join(arguments)})"
    if len(flat) <= WIDTH - 20 and "\n" not in flat:
        return flat
    inner = "".join(f"{STEP}{indented(each)},\n" for each in arguments)
    return f"{name}(\n{inner})"


def indented(source: str, steps: int = 1) -> str:
    """Source, its lines but the first moved in. No literal of ours spans lines."""
    return "\n".join(
        f"{STEP * steps}{line}" if number and line else line for number, line in enumerate(source.split("\n"))
    )


def function_lines(name: str, parameters: str, lines: Sequence[str]) -> list[str]:
    """A function within another, with a blank line around it."""
    return ["", f"async def {name}({parameters}) -> dict[str, Any]:", *moved(lines), ""]


def moved(lines: Sequence[str]) -> list[str]:
    """Lines moved in."""
    return [f"{STEP}{line}" if line else "" for line in lines]


def condition_source(condition: Condition, show: Callable[[str], str]) -> str:
    """A condition as an expression; `show` gives that of a reference."""
    match condition:
        case Test():
            return _test(show(condition.ref), condition.op, condition.value)
        case Not():
            return f"not {_inside(condition.part, show)}"
        case All():
            return " and ".join(_inside(part, show) for part in condition.parts)
        case AnyOf():
            return " or ".join(_inside(part, show) for part in condition.parts)


def _inside(condition: Condition, show: Callable[[str], str]) -> str:
    source = condition_source(condition, show)
    return source if isinstance(condition, Test) and " " not in source else f"({source})"


def _test(value: str, op: str, constant: Any) -> str:
    if op == "empty":
        return f"is_empty({value})"
    if op == "contains":
        return f"{_constant(constant)} in {value}"
    if isinstance(constant, bool) and op in ("==", "!="):
        return value if constant is (op == "==") else f"not {value}"
    return f"{value} {op} {_constant(constant)}"


def _constant(value: Any) -> str:
    return quoted(value) if isinstance(value, str) else repr(value)


def _literal(line: Sequence[str | Place], show: Callable[[str], str]) -> str:
    if not any(isinstance(part, Place) for part in line):
        return quoted("".join(str(part) for part in line))
    body = "".join(
        f"{{{show(part.name)}}}" if isinstance(part, Place) else _escaped(part).replace("{", "{{").replace("}", "}}")
        for part in line
    )
    return f'f"{body}"'


def _escaped(text: str) -> str:
    """A text as it stands between double quotes."""
    shown = repr(text)
    inner = shown[1:-1]
    return inner.replace("\\'", "'").replace('"', '\\"') if shown[0] == "'" else inner
