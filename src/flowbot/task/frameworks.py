"""Programs of frameworks: a `dspy.Module`, a compiled LangGraph graph. Known by the classes' names, so that neither is imported.

What they do with tasks, loops and threads stays theirs. A module of DSPy is copied for each run, told its instructions, and asks the
model of the run; a graph runs with its nodes as steps, and its nodes' own clients ask as they do.
"""

from __future__ import annotations

import asyncio
import copy
import re
import secrets
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from inspect import isfunction
from typing import Any

from flowbot.fields import stable_hash
from flowbot.program.params import Param, Value
from flowbot.program.reach import tunable
from flowbot.program.run_model import RUN_MODEL
from flowbot.program.steps import step

from .identity import callable_identity


class DSPyProgram:
    """A `dspy.Module` as a program: the instructions of its predictors are texts, named by the predictors.

    Demonstrations that are found stand in the texts, behind the instructions; those that the module has are shown as before.

    Args:
        module: what is run. It stays as it is.
    """

    def __init__(self, module: Any) -> None:
        self.module = module
        self.tunable = tuple(
            Param(_named(name), each.signature.instructions) for name, each in module.named_predictors()
        )

    @property
    def identity(self) -> str:
        """Tells it from others: the source of its classes, and what its predictors say and show."""
        classes: list[Any] = [type(each) for _, each in self.module.named_sub_modules()]
        own = sorted(
            {callable_identity(each.forward) for each in classes if isfunction(getattr(each, "forward", None))}
        )
        state = {
            name: {**each.dump_state(), "lm": None, "traces": None} for name, each in self.module.named_predictors()
        }
        return f"dspy {type(self.module).__qualname__} {stable_hash([own, repr(state)])[:16]}"

    def told(self, text: Callable[[Param], str] = str, *, seen: bool = False) -> Any:
        """A copy of the module with these instructions.

        Args:
            text: gives the instruction of a predictor; as whoever watches says it when not given.
            seen: its predictors are steps, and read their instructions in them.
        """
        told = self.module.deepcopy()
        for param, (_, predictor) in zip(self.tunable, told.named_predictors(), strict=True):
            if seen:
                _watched(predictor, param, text)
            else:
                predictor.signature = predictor.signature.with_instructions(text(param))
        return told

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run it: its prediction's fields by name."""
        dspy = import_module("dspy")
        known: Mapping[str, Any] = getattr(dspy.settings.lm, "kwargs", None) or {}
        own = {name: known[name] for name in ("temperature", "max_tokens", "top_p") if known.get(name) is not None}
        lm = dspy.LM("openai/run-model", engine=_Engine(dspy.lm15), cache=False, num_retries=0, **own)
        with dspy.context(lm=lm, disable_history=True, track_usage=False):
            return dict(self.told(seen=True)(**inputs).items())


class _Engine:
    """How a `dspy.LM` asks the model of the run: by a client of HTTP that the tap sees."""

    supports_response_schema = True
    supported_params = ("response_format",)

    def __init__(self, lm15: Any) -> None:
        self._wire = lm15.OpenAIChatLM(api_key="none", base_url=RUN_MODEL)

    def complete(self, request: Any) -> Any:
        """As of DSPy's engines."""
        asked = self._wire.build_request(request, stream=False)
        with import_module("httpx").Client() as client:
            answer = client.post(asked.url, headers=asked.headers, content=asked.body)
        if answer.status_code >= 400:
            raise self._wire.normalize_error(answer.status_code, answer.text)
        return self._wire.parse_response(request, answer)


class LangGraphProgram:
    """A compiled LangGraph graph as a program: its inputs begin the state, and the state in the end holds its outputs.

    Its texts and values are those of its nodes. Each node that is a function is a step.

    Args:
        graph: what is run. It stays as it is.
    """

    def __init__(self, graph: Any) -> None:
        self._functions = {name: _function(node) for name, node in graph.nodes.items() if not name.startswith("__")}
        self._graph = graph.copy(update={"nodes": {name: _seen(name, node) for name, node in graph.nodes.items()}})
        found = (each for function in self._functions.values() if function for each in tunable(function))
        self.tunable: tuple[Param | Value, ...] = tuple({each.name: each for each in found}.values())

    @property
    def identity(self) -> str:
        """Tells it from others: its nodes' functions, its edges and branches."""
        nodes = {name: callable_identity(each) if each else "" for name, each in self._functions.items()}
        drawn = self._graph.get_graph()
        return f"langgraph {stable_hash([nodes, sorted(str(each) for each in drawn.edges)])[:16]}"

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Run it: the state in the end.

        On an event loop of its own: nodes that block are put into the loop's few threads, and the run's own loop needs those to answer them.
        """
        config = {
            "configurable": {"thread_id": secrets.token_hex(8)}
        }  # for a graph with a memory: each run has its own
        return dict(asyncio.run(self._graph.ainvoke(inputs, config)))


def framework_program(found: object) -> DSPyProgram | LangGraphProgram | None:
    """The program that an object of a framework is; None for what is none."""
    made = framework_of(found)
    return None if made is None else made(found)


def framework_of(found: object) -> type[DSPyProgram | LangGraphProgram] | None:
    """How such an object is made a program; None for what is none."""
    classes = {f"{each.__module__.partition('.')[0]}.{each.__name__}" for each in type(found).__mro__}
    if "dspy.Module" in classes:
        return DSPyProgram
    return LangGraphProgram if "langgraph.Pregel" in classes else None


def _watched(predictor: Any, param: Param, text: Callable[[Param], str]) -> None:
    """Have a predictor's calls seen as steps that read its instruction."""
    kind: Any = predictor.__class__

    def tell() -> None:
        predictor.signature = predictor.signature.with_instructions(text(param))
        predictor.lm = None

    def call(**fields: Any) -> Any:
        tell()
        return kind.forward(predictor, **fields)

    async def acall(**fields: Any) -> Any:
        tell()
        return await kind.aforward(predictor, **fields)

    predictor.forward, predictor.aforward = step(name=param.name)(call), step(name=param.name)(acall)


def _function(node: Any) -> Callable[..., Any] | None:
    """The function that a node of a graph is; None for another kind."""
    found = getattr(node.bound, "func", None) or getattr(node.bound, "afunc", None)
    return found if isfunction(found) else None


def _seen(name: str, node: Any) -> Any:
    """The node with its function as a step, unless it is one."""
    function, bound = _function(node), node.bound
    if function is None or name.startswith("__") or hasattr(function, "__wrapped__"):
        return node
    new, seen = copy.copy(bound), step(name=_named(name))(function)
    if bound.func is not None:
        new.func = seen
    both: Any = bound.afunc
    new.afunc = partial(both.func, None, seen) if isinstance(both, partial) else seen
    return node.copy({"bound": new})


def _named(name: str) -> str:
    """A name of a framework as one of ours."""
    return "instruction" if name == "self" else re.sub(r"\W|^(?=\d)", "_", name, flags=re.ASCII)
