"""What workflows are written, hashed, drawn and told as: byte for byte what stored runs and readers' files hold.

`recorded_outputs.json` holds a digest of each, made by the code that wrote them first. A digest that changes on purpose is
recorded anew by `python tests/workflow/test_recorded_outputs.py`.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from edit_samples import TOOLS, stock

from flowbot.draw.mermaid import draw_mermaid
from flowbot.draw.svg import draw_svg
from flowbot.draw.text import draw_text
from flowbot.fields import Field
from flowbot.fields.yaml import dump_yaml
from flowbot.workflow.check import check
from flowbot.workflow.diff import diff
from flowbot.workflow.edits.schema import edits_schema
from flowbot.workflow.starts import fit, list_starts
from flowbot.workflow.workflow import Workflow

HOME = Path(__file__).parents[2]
RECORDED = Path(__file__).with_name("recorded_outputs.json")


def workflows() -> dict[str, Workflow]:
    """Those of the library and the examples, as they stand, made for a task, and with their nodes in disorder."""
    found = {start.name: start.workflow for start in list_starts()} | {"stock": stock()}
    for path in sorted(HOME.glob("examples/*/*.flow.yaml")):
        found[f"{path.parent.name}/{path.name}"] = Workflow.load(path)
    inputs = (Field.of("note", "str", "what the customer asks"), Field.of("claim", "str"), Field.of("n", "int"))
    outputs = (Field.of("total", "int", "how many"), Field.of("why", "str"))
    for start in list_starts():
        if start.wants is None and not start.inputs:
            found[f"{start.name} for a task"] = fit(start, inputs, outputs, "Count with care.")
    for name, workflow in list(found.items()):
        data = workflow.dump()
        data["nodes"] = dict(reversed(data["nodes"].items()))
        data["outputs"] = {output: f"{reference}s" for output, reference in data["outputs"].items()}
        found[f"{name}, damaged"] = Workflow.from_data(data)
    return found


def outputs_of(workflow: Workflow, other: Workflow) -> dict[str, str]:
    """Digests of all that is made of a workflow."""
    made = {
        "hash": workflow.hash,
        "json": json.dumps(workflow.dump()),
        "yaml": dump_yaml(workflow.dump()),
        "summary": workflow.summary,
        "defects": "\n".join(map(str, check(workflow, tools=TOOLS, task_outputs=(Field.of("answer", "int"),)))),
        "diff": "\n".join(diff(workflow, other)),
        "text": draw_text(workflow),
        "svg": draw_svg(workflow, highlight=frozenset(workflow.sketch.nodes)),
        "mermaid": draw_mermaid(workflow),
        "schema": json.dumps(edits_schema(tools=TOOLS, sketch=workflow.sketch)),
    }
    return {name: sha256(text.encode()).hexdigest()[:16] for name, text in made.items()}


def all_outputs() -> dict[str, dict[str, str]]:
    """Digests of all outputs of all workflows."""
    found = workflows()
    return {name: outputs_of(workflow, found["stock"]) for name, workflow in found.items()}


def test_outputs_are_those_that_were_recorded() -> None:
    assert all_outputs() == json.loads(RECORDED.read_text(encoding="utf-8"))


if __name__ == "__main__":
    RECORDED.write_text(json.dumps(all_outputs(), indent=1) + "\n", encoding="utf-8")
