"""Changes by which an LLM call reads and writes down, and code or a tool works out the answer.

Sources: compute, Gao et al. 2023 (PAL); calculate, Cobbe et al. 2021 (a calculator in the place of the model's arithmetic); program,
Chen et al. 2022 (program of thought).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from flowbot.fields import Type
from flowbot.task.builtin_tools import CALCULATOR, PYTHON
from flowbot.workflow.edits.basic import AddNode, ReplaceNode
from flowbot.workflow.edits.edit import Edit
from flowbot.workflow.edits.inserts import InsertStep
from flowbot.workflow.graph import free_name
from flowbot.workflow.nodes import CodeNode, ToolNode
from flowbot.workflow.parameters import CodeParameters
from flowbot.workflow.starts import REASONING, reasoning_hint

from .change import Call, Change, Place
from .formulas import NUMBERS

EXPRESSION = (  # without an example: a small model writes that in place of its own
    "Do not work the answer out, and explain nothing: write one line of numbers, joined by + - * / and parentheses, whose value it is."
)
PROGRAM = "Do not work the answer out: write a short Python program that computes it and prints it, and nothing else."


def compute(place: Place) -> Iterator[Change]:
    """Let the call list the parts, typed by what is wanted or as the task's own lists are, and compute the answer in Python: for numbers
    and truths, since what a label or a text says in all is not worked out from what its parts say."""
    if not isinstance(place, Call) or not place.kinds() <= {*NUMBERS, "bool"}:
        return
    answers, kinds = place.answers, place.kinds()
    numeric = "bool" not in kinds
    number = (
        "count" if kinds == {"int"} else "amount"
    )  # not "number": a small model takes that for the item's place in the list
    if numeric:
        members = {"what": "str", number: "int" if kinds == {"int"} else "float"}
    else:
        members = {free_name("what", answers): "str", **answers}
    codes = {
        answer: f"{'all' if type_ == 'bool' else 'sum'}(each[{(number if numeric else answer)!r}] for each in items)"
        for answer, type_ in answers.items()
    }
    noun = number if numeric else "values"
    title = "Make the LLM call return the parts as a typed list, and compute the answer in Python."
    yield _listing(place, "", members, codes, f"List the items, each with its {noun}.", title)
    for name, item in _own_lists(place):
        numbers = [member for member, type_ in item.members if type_.kind in NUMBERS]
        if numeric and numbers:
            product = " * ".join(f"each[{member!r}]" for member in numbers[:2])
            codes = dict.fromkeys(answers, f"sum({product} for each in items)")
            title = f"Make the LLM call return a list as `{name}` is, and compute the answer from that in Python."
            types = {member: str(type_) for member, type_ in item.members}
            yield _listing(place, name, types, codes, f"List the {name}.", title)


def calculate(place: Place) -> Iterator[Change]:
    """Let the call write an arithmetic expression, which the calculator works out: for one number."""
    if isinstance(place, Call) and _gives_one_number(place) and _is_builtin(place, CALCULATOR.name):
        (answer, type_), *_ = place.answers.items()
        value = "round(number)" if type_ == "int" else "number"
        code = f"def run(number):\n    return {{{answer!r}: {value}}}"
        title = "Make the LLM call write an arithmetic expression, and let a calculator work it out."
        yield Change(
            "calculate",
            place.path,
            title,
            lambda _: _written(place, "expression", EXPRESSION, "calculator", ["number"], code),
        )


def program(place: Place) -> Iterator[Change]:
    """Let the call write a short program, which the interpreter runs: for one number."""
    if isinstance(place, Call) and _gives_one_number(place) and _is_builtin(place, PYTHON.name):
        (answer, *_) = place.answers
        fault = "    if error:\n        raise ValueError(error)\n"
        code = f"def run(result, error):\n{fault}    return {{{answer!r}: result.strip().splitlines()[-1].strip()}}"
        title = "Make the LLM call write a short Python program, and run it: what it prints is the answer."
        yield Change(
            "program",
            place.path,
            title,
            lambda _: _written(place, "program", PROGRAM, "python", ["result", "error"], code),
        )


def _listing(
    place: Call, variant: str, members: Mapping[str, str], codes: Mapping[str, str], ask: str, title: str
) -> Change:
    """The call gives a list of items with these members, and a code step after it the answers."""
    answers = place.answers
    items = f"list[{{{', '.join(f'{name}: {type_}' for name, type_ in members.items())}}}]"

    def build(text: str) -> list[Edit]:
        told = place.told.model_copy(update={"format_hint": "", "demonstrations": ()})
        listing = place.node.model_copy(update={"out": {"items": items}})
        return [
            *place.unread(name for name in place.node.out if name not in answers),
            ReplaceNode(id=place.path, node=listing, parameters=told.with_added_text(ask)),
            InsertStep(
                id=place.path,
                where="after",
                name=place.fresh("compute"),
                node=CodeNode(inputs={"items": f"{place.name}.items"}, out=answers),
                parameters=CodeParameters(code=text),
            ),
        ]

    returned = ", ".join(f"{answer!r}: {code}" for answer, code in codes.items())
    plain = f"def run(items):\n    return {{{returned}}}"
    return Change(
        "compute", place.path, title, build, variant=variant, computes=({"items": items}, answers), prior_code=plain
    )


def _own_lists(place: Call) -> Iterator[tuple[str, Type]]:
    """The lists of objects among the task's outputs, nested ones too, by name; each with the type of its items."""
    left = [(field.name, field.type) for field in place.task.outputs]
    while left:
        name, type_ = left.pop(0)
        left += type_.members
        if type_.item is not None and type_.item.members:
            yield name, type_.item


def _gives_one_number(place: Call) -> bool:
    return len(place.answers) == 1 and place.kinds() <= {*NUMBERS}


def _is_builtin(place: Place, name: str) -> bool:
    """Whether a tool is at hand and no other of its name is declared."""
    return place.task.builtin_tools and name not in {tool.signature.name for tool in place.task.tools}


def _written(place: Call, name: str, ask: str, tool: str, results: list[str], code: str) -> list[Edit]:
    """The call writes a text, a tool works on it, and a code step makes the answer of what the tool gives."""
    kept = [REASONING] if REASONING in place.node.out else []
    wrote = free_name(name, place.node.inputs)
    out = {**dict.fromkeys(kept, "str"), wrote: "str"}
    told = place.told.model_copy(update={"format_hint": reasoning_hint([wrote]) if kept else "", "demonstrations": ()})
    node = place.node.model_copy(update={"out": out})
    signature = place.task.signatures[tool]
    (argument,) = signature.inputs
    gives = {field.name: str(field.type) for field in signature.outputs}
    called = place.fresh(tool)
    calling = ToolNode(when=node.when, tool=tool, inputs={argument.name: f"{place.name}.{wrote}"}, out=gives)
    converted = CodeNode(inputs={each: f"{called}.{each}" for each in results}, out=place.answers)
    return [
        ReplaceNode(id=place.path, node=node, parameters=told.with_added_text(ask)),
        AddNode(id=f"{place.scope.path}{called}", node=calling),
        InsertStep(
            id=place.path,
            where="after",
            name=place.fresh("convert"),
            node=converted,
            parameters=CodeParameters(code=code),
        ),
    ]
