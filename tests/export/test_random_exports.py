"""Workflows of every shape, whose steps fail now and then: their exports ask for the same, and give the same."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import types
from collections import Counter, deque
from collections.abc import Mapping
from difflib import SequenceMatcher, unified_diff
from typing import Any
from unittest.mock import patch

from export_help import MODEL
from hypothesis import HealthCheck, Phase, assume, given, settings
from random_workflows import TEXTS, workflows

from flowbot.export.comparison import Keys
from flowbot.export.exporting import exported
from flowbot.export.prompts import Prompts
from flowbot.export.python import Python
from flowbot.export.record import Recorded, recorded
from flowbot.fields import Type
from flowbot.lm.client import Reply
from flowbot.lm.proxy.chat import chat_answer, read_chat
from flowbot.runtime.workbench import Workbench
from flowbot.task import Example, Task
from flowbot.testing.fake_behaviours import fill
from flowbot.workflow.workflow import Workflow

quick = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    phases=[Phase.generate],
)


def measure(text: str, times: int = 1) -> int:
    """How long a text is."""
    return len(text) * times


def note() -> str:
    """A text that is always the same."""
    return "noted"


TASK = Task(
    goal="Try.",
    inputs={"q": str},
    outputs={"a": str},
    metric="exact",
    val=[("a", "b")],
    tools=[measure, note],
    builtin_tools=False,
)


class Refusing(Exception):
    """The run made no such request."""


class Client:
    """Stands in for the openai package's: it has the replies of a run, and notes what it is asked."""

    def __init__(self, keys: Keys, row: Recorded) -> None:
        self.asked = Counter[str]()
        self.keys, self._replies = keys, dict[str, deque[Reply]]()
        for sent in row.sent:
            key = keys.of(sent.model, sent.request, sent.sample)
            self._replies.setdefault(key, deque()).append(sent.reply)
        self.chat = types.SimpleNamespace(completions=self)

    async def create(self, *, extra_body: Mapping[str, Any] = {}, **body: Any) -> Any:
        asked = read_chat(json.loads(json.dumps({**body, **extra_body})))
        key = self.keys.of(MODEL, asked.request, asked.request.seed or 0, {**body, **extra_body})
        self.asked[key] += 1
        await asyncio.sleep(0)
        if not self._replies.get(key):
            near = max(self._replies, key=lambda each: SequenceMatcher(None, each, key).ratio(), default="")
            raise Refusing("\n".join(unified_diff(near.splitlines(), key.splitlines(), "run", "export", lineterm="")))
        answer = chat_answer(asked, "x", [self._replies[key].popleft()])
        answer["choices"][0]["message"].setdefault("tool_calls", None)
        return json.loads(json.dumps(answer), object_hook=lambda each: types.SimpleNamespace(**each))


async def outcome(workflow: Workflow, texts: str) -> None:
    inputs = {
        name: fill(Type.parse(text).json_schema(), f"{texts}{name}", texts=lambda schema, place: texts)
        for name, text in workflow.sketch.inputs.items()
    }
    async with (
        Workbench(stored=False) as bench,
        recorded(
            workflow, "val", [Example("the only row", inputs, {})], model=MODEL, task=TASK, bench=bench, ask=True
        ) as recording,
    ):
        made = exported(workflow, model=MODEL, tools=TASK.tools, trust_code=True, spoken=recording.speaks)
        assume(not Python().refuses(made))
        module: Any = types.ModuleType("exported")
        sys.modules["exported"] = module
        with patch.dict(os.environ, {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1", "OPENAI_API_KEY": "none"}):
            exec(compile(Python().files(made)["flow.py"], "flow.py", "exec"), module.__dict__)  # noqa: S102
        _ = Prompts().files(made)
        (row,) = recording.rows
        client = module.client = Client(Keys(recording), row)
        try:
            outputs = await module.flow(**row.trace.inputs)
        except Exception as error:
            if type(error).__name__ != "StepFailed":  # the module's own
                raise
            outputs = None
        wanted = Counter(client.keys.of(sent.model, sent.request, sent.sample) for sent in row.sent)
        assert client.asked == wanted
        assert outputs == (None if row.trace.outputs is None else dict(row.trace.outputs))


@quick
@given(workflows(), TEXTS)
def test_any_workflow_asks_for_the_same(workflow: Workflow, texts: str) -> None:
    asyncio.run(outcome(workflow, texts))
