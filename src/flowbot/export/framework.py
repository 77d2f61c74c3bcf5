"""What the targets for frameworks have in common: one file by a template, the names in it, and what its steps ask."""

from __future__ import annotations

import ast
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from flowbot.fields import Type
from flowbot.lm.native_tools import functions
from flowbot.workflow.graph import all_names, free_name
from flowbot.workflow.nodes import CodeNode, MergeNode
from flowbot.workflow.scope import Scope

from .exported import CANDIDATES, LABELS, STEPS, Exported, ExportedStep, Grade, code_refusals, tool_refusals
from .python_code import code_faults, function_of, head_lines, tool_imports
from .python_pieces import imported, imports_of, names_in, needed, pieces
from .python_text import STEP, docstring, indented, kind_source, members_source, quoted, text_source
from .python_wiring import Names, inner_names

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_OWN = (
    *("MODEL", "all", "bool", "candidates", "dict", "each", "float", "flow", "inputs", "int", "label", "labels"),
    *("listed", "one", "range", "row", "rows", "said", "seed", "self", "shown", "str"),
)
"""Names that the file has besides those of the pieces, what it imports, and its target's own."""
_SENT = (
    *("temperature", "max_tokens", "max_completion_tokens", "top_p", "frequency_penalty", "presence_penalty"),
    *("reasoning_effort", "verbosity", "service_tier"),
)
"""Settings that the openai package knows by name."""
_MAIN = """if __name__ == "__main__":
    inputs = json.loads(sys.argv[1] if len(sys.argv) > 1 else sys.stdin.read())
    print(json.dumps(asyncio.run(flow(**inputs)), ensure_ascii=False))
"""


class Framework(ABC):
    """A workflow as one file for a framework. A subclass says how a step is written."""

    name: str
    about: str
    grade: Grade = "scored"
    says: frozenset[str] = STEPS
    needs: tuple[str, ...]
    """What is to be installed."""
    modules: tuple[str, ...]
    """What can be imported then."""
    own: frozenset[str]
    """Names of the target's files that they do not import."""

    def refuses(self, exported: Exported) -> list[str]:
        """What no file of Python can say, and inputs that are named as something in the file is."""
        said = [*code_refusals(exported), *tool_refusals(exported), *code_faults(exported)]
        taken = self._taken() | inner_names(exported)
        clashes = [name for name in exported.workflow.sketch.inputs if name in taken]
        return said + [f"the input {name} has a name that the file uses itself" for name in clashes]

    def files(self, exported: Exported) -> Mapping[str, str]:
        """The file, and what has to be installed for it."""
        names, inputs, file = self.names(exported), exported.workflow.sketch.inputs, self.file(exported)
        body = _environment().get_template(self._template).render(
            models=models(exported),
            codes=[function_of(names.functions[each.path], each.inputs, exported.code(each.path)) for each in exported.steps if isinstance(each.node, CodeNode)],
            steps=[_step(exported, step, names) for step in exported.asking],
            inputs=", ".join(f"{name}: {annotation(Type.parse(kind))}" for name, kind in inputs.items()),
            **self.context(exported, names),
        )  # fmt: skip
        taken = needed(body)
        imports, _, rest = body.partition("\n\n\n")
        used = frozenset({"asyncio", "json", "sys"}).union(names_in(rest), *map(names_in, taken))
        lines = _imports("\n".join([imports, *imports_of(taken), *tool_imports(exported, names)]), used)
        head = docstring("\n".join(head_lines(exported, file, "-r requirements.txt")))
        text = "\n\n\n".join(
            [f"{head}\n\nfrom __future__ import annotations\n\n{lines}", rest.strip("\n"), *taken, _MAIN]
        )
        return {file: text, "requirements.txt": "".join(f"{each}\n" for each in self.needs)}

    def file(self, exported: Exported) -> str:
        """The name of the file; never that of a module that it imports."""
        return f"{exported.name}_{self.name.replace('-', '_')}.py"

    @abstractmethod
    def context(self, exported: Exported, names: Names) -> dict[str, Any]:
        """The template's own variables."""

    def names(self, exported: Exported) -> Names:
        """What steps and tools are called in the file."""
        own = self._taken() | inner_names(exported)
        known = all_names(exported.workflow.sketch) | own | imported()
        found: dict[str, str] = {}
        for step in exported.steps:
            found[step.path] = free_name(self.wish(step), known | {*found.values()})
        tools = {name: free_name(name, known | {*found.values()}) for name in exported.tools}
        called = {path: self.called(name, exported.step(path)) for path, name in found.items()}
        return Names(called, tools, frozenset(own | {*found.values(), *tools.values()}))

    def wish(self, step: ExportedStep) -> str:
        """What the function of a step is called, if nothing else is."""
        return f"{step.path.replace('/', '_')}_step"

    def called(self, name: str, step: ExportedStep) -> str:
        """What is called to run the step of that name."""
        return name

    @property
    def _template(self) -> str:
        return f"{self.name}.py.j2"

    def _taken(self) -> frozenset[str]:
        text = files("flowbot.export").joinpath("templates", self._template).read_text(encoding="utf-8")
        imported = (line for line in text.splitlines() if line.startswith(("import ", "from ")))
        names = (each.strip() for line in imported for each in line.partition("import ")[2].split(","))
        return frozenset((*pieces(), *_OWN, *names, *self.own))


def models(exported: Exported) -> dict[str, dict[str, str]]:
    """By model string the name in the file, and the expressions of what its endpoint calls it, of its address and its key."""
    found: dict[str, dict[str, str]] = {}
    for number, model in enumerate(exported.models, start=1):
        address, variable = quoted(model.base_url) if model.base_url else "None", quoted(model.base_variable)
        if model.base_variable:
            address = f"os.environ.get({variable}, {address})" if model.base_url else f"os.environ[{variable}]"
        key = f'os.environ.get({quoted(model.key or "OPENAI_API_KEY")}, "none")'
        name = "MODEL" if len(exported.models) == 1 else f"MODEL_{number}"
        found[model.name] = {"name": name, "wire": quoted(model.wire), "address": address, "key": key}
    return found


def _step(exported: Exported, step: ExportedStep, names: Names) -> dict[str, Any]:
    """What templates say of a step that asks a model."""
    asked, node = step.asked, step.node
    assert asked is not None
    scope = Scope.of(exported.workflow.sketch).at(step.path)
    kinds = {name: scope.type_of(reference) for name, reference in step.inputs.items()}
    of = {name: names.variable(name) for name in step.inputs}
    shown = {
        name: of[name] if kind and kind.kind in ("str", "literal") else f"text_of({of[name]})"
        for name, kind in kinds.items()
    }
    shown |= {LABELS: "labels", CANDIDATES: "shown"}
    return {
        "asked": asked,
        "kind": node.kind,
        "name": names.functions[step.path],
        "model": models(exported)[asked.model.name]["name"],
        "parameters": [f"{of[name]}: {annotation(kind) if kind and not kind.members else 'Any'}" for name, kind in kinds.items()],
        "messages": [{"role": each.role, "text": joined(text_source(each.parts, shown.__getitem__))} for each in asked.messages],
        "fields": '{"choice": tuple(listed)}' if isinstance(node, MergeNode) else members_source({each.name: kind_source(each.type) for each in asked.fields}),
        "settings": {name: each for name, each in asked.settings.items() if name not in ("tools", "tool_choice")},
        "tools": ", ".join(names.tools[name] for name in asked.tools),
        "offered": ", ".join(f"({names.tools[name]}, {functions([exported.tools[name].signature])[0]['function']!r})" for name in asked.tools),
        "sent": arguments(sent({name: each for name, each in asked.settings.items() if name not in ("tools", "tool_choice")})),
        "defined": [_tool(exported, name, names) for name in asked.tools],
        "output": quoted(next(iter(node.out))) if isinstance(node, MergeNode) else "",
    }  # fmt: skip


def _tool(exported: Exported, name: str, names: Names) -> str:
    """A tool as a model is offered it: the function, what is said of it, the types of its arguments and results."""
    tool = exported.tools[name]
    takes, gives = (
        members_source({field.name: kind_source(field.type) for field in fields})
        for fields in (tool.signature.inputs, tool.signature.outputs)
    )
    about = functions([tool.signature])[0]["function"]
    facts = f"about={about!r}, takes={takes}, gives={gives}, plain={tool.plain}"
    return f"Tool({names.tools[name]}, {facts}, writes={tool.signature.effects == 'writes'})"


def joined(lines: list[str]) -> str:
    """Literals, one a line of a text, as one expression."""
    return lines[0] if len(lines) == 1 else "(\n" + "".join(f"{STEP}{line}\n" for line in lines) + ")"


def annotation(kind: Type, name: str = "Value") -> str:
    """A type as an annotation."""
    match kind.kind:
        case "literal":
            return f"Literal[{', '.join(map(quoted, kind.options))}]"
        case "list":
            return f"list[{annotation(kind.item, name) if kind.item else 'Any'}]"
        case "object" if kind.members:
            return typed_dict(name, kind.members)
        case "object":
            return "dict[str, Any]"
        case plain:
            return plain


def typed_dict(name: str, members: Iterable[tuple[str, Type]]) -> str:
    """A TypedDict with these members."""
    shown = {key: annotation(kind, f"{name}_{key}") for key, kind in members}
    return f"TypedDict({quoted(name)}, {members_source(shown)})"


def arguments(given: Mapping[str, Any]) -> str:
    """JSON values by name as the arguments of a call."""
    return ", ".join(
        f"{name}={quoted(value) if isinstance(value, str) else repr(value)}" for name, value in given.items()
    )


def sent(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as the openai package takes them: those that it does not know by name within the body."""
    known = {name: value for name, value in settings.items() if name in _SENT}
    besides = {name: value for name, value in settings.items() if name not in _SENT}
    return {**known, "extra_body": besides} if besides else known


def _imports(source: str, used: frozenset[str]) -> str:
    """The imports of what is used, a line a module, the standard library's first."""
    found: dict[str, dict[str, None]] = {}
    for node in ast.parse(source).body:
        assert isinstance(node, ast.Import | ast.ImportFrom)
        for each in node.names:
            if (each.asname or each.name) in used:
                module = node.module or "" if isinstance(node, ast.ImportFrom) else each.name
                found.setdefault(module, {})[ast.unparse(each) if isinstance(node, ast.ImportFrom) else ""] = None
    lines = {
        module: f"import {module}" if "" in names else f"from {module} import {', '.join(sorted(names))}"
        for module, names in sorted(found.items())
    }
    ours = [line for module, line in lines.items() if module.partition(".")[0] in sys.stdlib_module_names]
    theirs = [line for line in lines.values() if line not in ours]
    return "\n".join([*sorted(ours, key=lambda line: line.startswith("from")), "", *theirs])


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import PackageLoader, StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(
        loader=PackageLoader("flowbot.export", "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    made.filters |= {"moved": indented, "arguments": arguments}
    return made
