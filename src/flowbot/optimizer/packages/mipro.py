"""MIPROv2, of the package `dspy`: demonstrations and proposed instructions of all steps, chosen together by Bayesian search.

Opsahl-Ong et al. 2024, arXiv 2406.11695; `dspy` 3.4. Its meta model proposes instructions from a summary of the data, of the steps and
of what went well; a TPE (`optuna`) chooses among them by validation. It is set to the highest of its `auto` levels whose calls fit,
else to fewer candidates, with as many trials as it recommends for them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from flowbot.fields import Score
from flowbot.lm.client import Message
from flowbot.optimizer.feedback.runs import calls_of, typical
from flowbot.optimizer.method import Sizes
from flowbot.optimizer.population import Candidate
from flowbot.optimizer.seams import Proposal
from flowbot.runtime.evaluation import Row
from flowbot.runtime.program import WorkflowProgram
from flowbot.runtime.trace import Trace

from .dspy_quiet import quiet_dspy
from .places import rewritten
from .steps import ROW, Step, given, steps, with_demonstrations
from .trials import MAX_TOKENS, WARM, Trials
from .tuning import changes

AUTO = {"heavy": (18, 1000), "medium": (12, 300), "light": (6, 100)}
"""Its levels: candidates, and validation rows at most."""
WHOLE, MINIBATCH, FULL_STEPS = 50, 35, 5
"""Up to so many validation rows each trial runs all; else so many, and every so many trials the best is run on all."""
LEAST = 20
"""Validation rows of which a trial has something to say."""
GOOD = 0.66
"""What a demonstration must score to be taken where scores are graded: the threshold of DSPy's own graded metric."""
QUESTIONS = 3
"""To the meta model for one instruction: what the program does, what the step does, the instruction."""
UNREADABLE = "a reply of the meta model could not be read"
COST = 60


@dataclass(frozen=True, slots=True)
class Setting:
    """How much it is to do: a level of its own, or numbers of candidates, trials and validation rows."""

    auto: str | None
    candidates: int
    trials: int
    rows: int


def recommended(candidates: int, steps: int) -> int:
    """The trials that MIPROv2 recommends: max(2·variables·log2 n, 1.5·n), with two variables a step."""
    return int(max(4 * steps * math.log2(candidates), 1.5 * candidates))


def setting(calls: float, train: int, val: int, row: float, steps: int) -> Setting:
    """The largest whose calls fit.

    Args:
        calls: that may be taken, validation of the start included.
        train, val: rows.
        row: calls of a row.
        steps: that are tuned.
    """

    def opening(candidates: int, instructions: int) -> float:
        """Before the first trial: all sets but two are bootstrapped, each from some eight rows where half are right."""
        summary = min(10, math.ceil(train / 10)) + 1
        return max(0, candidates - 2) * min(train, 8) * row + summary + QUESTIONS * instructions * steps

    for level, (candidates, most) in AUTO.items():
        rows, number = min(val, most), recommended(candidates, steps)
        runs = number * MINIBATCH + rows * (2 + number // FULL_STEPS) if rows > WHOLE else rows * (number + 1)
        if opening(candidates, candidates // 2) + runs * row <= calls:
            return Setting(level, candidates, number, rows)
    for candidates in (5, 4, 3, 2):
        number = recommended(candidates, steps)
        different = min(number, candidates ** (2 * steps) - 1)  # the same again takes no call
        rows = int((calls - opening(candidates, candidates)) // ((different + 1) * row))
        if rows >= min(LEAST, val) or candidates == 2:
            return Setting(None, candidates, number, max(1, min(rows, val)))
    raise AssertionError


@dataclass(frozen=True, slots=True)
class Mipro:
    """MIPROv2; see `tuning.Package`."""

    name: str = "mipro"
    title: str = "MIPROv2"
    cost: int = COST

    def tunes(self, program: WorkflowProgram) -> bool:
        """As of `Package`."""
        return bool(steps(program))

    def validates(self, program: WorkflowProgram, sizes: Sizes) -> int:
        """All, or as many as leave room for its trials."""
        return setting(sizes.effort, sizes.train, sizes.val, sizes.start_calls, len(steps(program))).rows

    def tune(self, trials: Trials) -> str:
        """As of `Package`."""
        dspy = import_module("dspy")
        with trials.bridge.ours():
            desk = Desk(trials, steps(trials.start.program), dspy)
            chosen = desk.setting()
            trials.val = trials.val[: chosen.rows]
            student, train, val = desk.student(), desk.examples(trials.train), desk.examples(trials.val)
        model = dspy.LM(
            "flowbot/meta", engine=desk, cache=False, num_retries=0, temperature=WARM, max_tokens=MAX_TOKENS
        )
        optimiser = dspy.MIPROv2(
            metric=desk.metric,
            prompt_model=model,
            task_model=model,
            auto=chosen.auto,
            num_candidates=None if chosen.auto else chosen.candidates,
            num_threads=1,
            max_errors=1,
            seed=trials.seed,
        )
        smaller = {} if chosen.auto else {"num_trials": chosen.trials, "minibatch": False}
        try:
            with (
                quiet_dspy(),
                dspy.context(
                    lm=model, adapter=dspy.JSONAdapter(), callbacks=[desk], disable_history=True, track_usage=False
                ),
            ):
                optimiser.compile(student, trainset=train, valset=val, **smaller)
        except dspy.AdapterParseError:
            return UNREADABLE
        return "all trials were made"


@dataclass
class Desk:
    """What MIPROv2 works with: our program as a `dspy.Module`, rows as examples, the metric, the meta model.

    Args:
        trials: runs and asks.
        steps: that are tuned.
        dspy: the package.
    """

    trials: Trials
    steps: Sequence[Step]
    dspy: Any
    supports_response_schema: bool = True
    supported_params: tuple[str, ...] = ("response_format",)
    _ids: dict[str, str] = field(default_factory=dict[str, str])
    _first: Sequence[str] = ()
    """What DSPy made of the instructions of the start: what says that is not changed."""
    _here: tuple[WorkflowProgram | None, str] = (None, "")
    _question: str = ""
    _evaluated: tuple[Any, Sequence[str]] | None = None
    _seen: dict[str, Candidate | None] = field(default_factory=dict[str, Candidate | None])

    def setting(self) -> Setting:
        """How much it is to do with the calls that are left; the start's validation is counted, and was paid for if it was run."""
        trials = self.trials
        paid = len(trials.val) - len(trials.context.population.missing(trials.start.program, trials.val))
        calls = trials.left + trials.cost(paid)
        return setting(calls, len(trials.train), len(trials.val), trials.cost(1), len(self.steps))

    def student(self) -> Any:
        """The program: one `Predict` a step, whose instruction and demonstrations are tuned, and which is never asked itself."""
        dspy, desk = self.dspy, self

        def __init__(module: Any) -> None:
            dspy.Module.__init__(module)
            module.steps = [desk._predictor(step) for step in desk.steps]

        def forward(module: Any, **inputs: Any) -> Any:
            with desk.trials.bridge.ours():
                return desk._run(module, inputs)

        # MIPROv2 shows the source of a program to the meta model, except of a class of this name: then it shows the signatures of the
        # steps, which say more of ours.
        module = type("Predict", (dspy.Module,), {"__init__": __init__, "forward": forward})()
        self._first = [predictor.signature.instructions for predictor in module.steps]
        return module

    def examples(self, ids: Sequence[str]) -> list[Any]:
        """Rows as examples. What is told of what is expected of them their text says, which is what the meta model sees."""
        context = self.trials.context
        known = {each.id: each for split in ("train", "val") for each in context.task.splits[split]}
        rows = [Row(known[each], Trace(each, known[each].inputs, (), None), Score(0.0)) for each in ids]
        told = {each.example.id: each.example for each in context.told(self.trials.start.program, rows)}

        class Example(self.dspy.Example):
            def __repr__(self) -> str:
                of = told.get(self.get(ROW))
                shown = {**of.inputs, **of.expected} if of is not None else dict(self.items())
                return f"Example({shown})"

        found: list[Any] = []
        for each in ids:
            row = known[each]
            self._ids.setdefault(_key(row.inputs), each)
            found.append(Example(**{**row.inputs, **row.expected, ROW: each}).with_inputs(*row.inputs))
        return found

    def metric(self, example: Any, prediction: Any, trace: Any = None) -> float | bool:
        """The score of the program that just ran; or, of a demonstration, whether to take it."""
        with self.trials.bridge.ours():
            program, _ = self._here
            row = None if program is None else self.trials.run(program, [example.get(ROW)])[0]
            value = 0.0 if row is None else row.score.value
            return value if trace is None else value >= GOOD

    def complete(self, request: Any) -> Any:
        """A reply of the meta model, as an engine of `dspy.LM` gives it."""
        with self.trials.bridge.ours():
            said = [Message("system", request.system)] if request.system else []
            said += [Message(each.role, each.text or "") for each in request.messages]
            self._question = said[0].content  # its own words; what follows is data, which it asks to be used
            form: dict[str, Any] = request.config.response_format or {}
            text = self.trials.ask(said, form.get("schema"))
        lm15 = self.dspy.lm15
        return lm15.Response(None, request.model, lm15.Message.assistant(text), "stop", lm15.Usage())

    # what DSPy tells: of `dspy.utils.callback.BaseCallback`

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: Mapping[str, Any]) -> None:
        """All rows of an evaluation are run at once, before it asks for one after the other."""
        with self.trials.bridge.ours():
            program, defect = self._program(inputs["program"])
            ids = [each.get(ROW) for each in inputs["devset"]]
            self._evaluated = program, ids
            self._propose(program, defect)
            if program is not None:
                self.trials.run(program, ids)

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        """What was run on all of validation is compared with the best before it."""
        with self.trials.bridge.ours():
            if exception is not None:
                raise exception  # DSPy would take the program for one that scores 0
            program, ids = self._evaluated or (None, ())
            candidate = None if program is None else self._seen.get(program.hash)
            if program is None or candidate is None or len(ids) < len(self.trials.val):
                return
            trials = self.trials
            kept = trials.mean(candidate) > trials.mean(trials.best or trials.start)
            trials.decided(candidate, trials.val, "validation", kept=kept)
            self._seen[program.hash] = None

    def _propose(self, program: WorkflowProgram | None, defect: str) -> None:
        trials, key = self.trials, defect if program is None else program.hash
        best = trials.best or trials.start
        if key in self._seen or key == trials.start.program.hash:
            return
        self._seen[key] = trials.proposed(
            best,
            Proposal(
                program,
                "MIPROv2 chooses instructions and demonstrations",
                "meta",
                edits=() if program is None else changes(best.program, program),
                shown=tuple(trials.train),
                faults=(defect,) if defect else (),
            ),
        )

    def _predictor(self, step: Step) -> Any:
        dspy = self.dspy
        fields = {name: (str, dspy.InputField()) for name in step.inputs}
        fields |= {name: (str, dspy.OutputField()) for name in step.outputs}
        predictor = dspy.Predict(dspy.Signature(fields, step.place.text, signature_name=_named(step.path)))
        for each in step.shown:
            inputs, outputs = step.values(each.inputs, each.outputs)
            predictor.demos.append(dspy.Example(augmented=True, **inputs, **outputs, **{ROW: each.example}))
        return predictor

    def _run(self, module: Any, inputs: Mapping[str, Any]) -> Any:
        """One row; the calls of its steps are noted, as those of predictors are."""
        self._here = program, _ = self._program(module)
        row = None if program is None else self.trials.run(program, [self._ids[_key(inputs)]])[0]
        if row is None:
            return self.dspy.Prediction()
        trace = self.dspy.settings.trace
        for step, predictor in zip(self.steps, module.steps, strict=True):
            if trace is not None and (calls := given(calls_of(row, step.path))):
                call = typical(calls)
                received, gave = step.values(call.inputs, call.outputs or {})
                trace.append((predictor, {**received, ROW: row.example.id}, gave))
        return self.dspy.Prediction(**(row.trace.outputs or {}))

    def _program(self, module: Any) -> tuple[WorkflowProgram | None, str]:
        """Our program with what a module's predictors say and show; or None with what is wrong with it."""
        trials, start = self.trials, self.trials.start.program
        both = list(zip(self.steps, module.steps, strict=True))
        known = {str(step.place): step.place for step, _ in both}
        said = [predictor.signature.instructions for predictor in module.steps]
        texts = {
            str(step.place): text
            for step, text, first in zip(self.steps, said, self._first, strict=True)
            if text != first
        }
        program, defect = rewritten(trials.context, start, known, texts, self._question)
        if program is None:
            return None, defect
        shown = {
            step.path: [step.demonstration(_members(each)) for each in predictor.demos] for step, predictor in both
        }
        found = {path: [each for each in sets if each is not None] for path, sets in shown.items()}
        return with_demonstrations(program, found), ""


def _members(example: Any) -> dict[str, Any]:
    return {name: example[name] for name in example.keys(include_dspy=True)}


def _key(inputs: Mapping[str, Any]) -> str:
    return json.dumps(dict(inputs), sort_keys=True, default=str)


def _named(path: str) -> str:
    """A path as the name of a signature."""
    return re.sub(r"\W", "_", path)
