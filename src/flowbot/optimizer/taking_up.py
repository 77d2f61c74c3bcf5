"""Taking up an earlier run, after a change of the model or of the rows: its workflow as a start, and its scores beside the new ones."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flowbot.fields import stable_hash
from flowbot.fields.words import count
from flowbot.run.before import Before, Gains, Means
from flowbot.run.events import Difference, Measure
from flowbot.run.examples import RecordedExample, Side, has_examples, read_examples
from flowbot.run.folders import flow_file
from flowbot.run.result import NAME, RunResult
from flowbot.stats import estimate_mean, paired_difference
from flowbot.task import Example, Task
from flowbot.workflow.nodes import walk
from flowbot.workflow.parameters import ChoiceParameters, Demonstration, LLMParameters
from flowbot.workflow.workflow import Workflow

KEPT_BACK = ("val", "test")


@dataclass(frozen=True, slots=True)
class Earlier:
    """A run that is taken up.

    Args:
        result: what came of it; None where it says so no more.
        rows: its examples by id, without their runs.
        notes: what is to be said of it.
    """

    result: RunResult | None
    rows: Mapping[str, RecordedExample]
    notes: tuple[str, ...] = ()

    @staticmethod
    def of(start: object) -> Earlier | None:
        """The run that was given as a start: its result, its folder, or its name; None where the start is something else.

        Raises:
            UserError: if its files are damaged.
        """
        if not isinstance(start, RunResult | Path | str):
            return None
        if not isinstance(start, RunResult) and Path(start).is_file():
            return None
        folder = flow_file(start).parent
        rows = read_examples(folder) if has_examples(folder) else ()
        return Earlier(
            RunResult.load(folder) if (folder / NAME).is_file() else None,
            {each.id: each.with_sides(Side.without_texts) for each in rows},
        )

    def begin(self, workflow: Workflow, task: Task, models: Collection[str]) -> tuple[Workflow, Earlier]:
        """What it found, as it can be begun with; and the run with what is to be said of that.

        A step whose model is not among `models` runs on the task model, unless it is pinned, and no worked example is an example
        that the new run keeps back.
        """
        notes: list[str] = []
        for path, node in walk(workflow.sketch):
            old = told = workflow.parameter(path)
            pinned = getattr(node, "model", None) == "pinned"
            if isinstance(told, LLMParameters | ChoiceParameters) and not pinned and told.model not in (None, *models):
                notes.append(f"Step `{path}` ran on {told.model}, which is not named now: it runs on the task model.")
                told = told.model_copy(update={"model": None})
            if isinstance(told, LLMParameters) and told.demonstrations:
                shown = tuple(self._sourced(told.demonstrations, task))
                if gone := len(told.demonstrations) - len(shown):
                    shows = count(gone, "worked example")
                    notes.append(f"Step `{path}` does without {shows}: validation or test has the same row now.")
                told = told.model_copy(update={"demonstrations": shown})
            workflow = workflow if told == old else workflow.with_parameter(path, told)
        return workflow, replace(self, notes=tuple(notes))

    def _sourced(self, shown: tuple[Demonstration, ...], task: Task) -> Iterator[Demonstration]:
        """The worked examples that may stay, each named by the training row that it is now, so that it is left out where that is scored."""
        training = {_inputs(each): each.id for each in task.splits.get("train", ())}
        names = {each.id for examples in task.splits.values() for each in examples}
        kept_back = [each for split in KEPT_BACK for each in task.splits.get(split, ())]
        ids = {each.id for each in kept_back}
        contents, values = ({form(each) for each in kept_back} for form in (_inputs, _values))
        for each in shown:
            row = self.rows.get(each.example)
            content = _inputs(row) if row is not None else ""
            if content in contents or _values(each) in values or (row is None and each.example in ids):
                continue
            gone = row is not None and content not in training and each.example in names
            yield each.model_copy(update={"example": "" if gone else training.get(content, each.example)})

    def beside(self, task: Task, tested: Mapping[str, tuple[float, float]], folder: Path) -> Before | None:
        """It beside the run that took it up; None where nothing is known of it, or it is that run itself.

        Args:
            task: of that run.
            tested: scores of its start and of what it found by the id of the test example; those that both were run on.
            folder: of that run.
        """
        result = self.result
        if result is None or result.run_dir.resolve() == folder.resolve():
            return None
        notes = list(self.notes)
        same_metric = result.metric == task.metric.identity
        if not same_metric:
            notes.append("It was scored by another metric: its scores are left out.")
        old = {_content(each): each for each in self.rows.values() if each.split == "test"}
        learned = {_content(each) for each in self.rows.values() if each.split != "test"}
        then: list[tuple[float, float]] = []
        now: list[tuple[float, float]] = []
        leaked = 0
        for example in task.splits["test"]:
            before = old.get(_content(example))
            leaked += _content(example) in learned
            if same_metric and before and before.start and before.final and example.id in tested:
                then.append((before.start.score, before.final.score))
                now.append(tested[example.id])
        if leaked:
            examples = count(leaked, "test example was", "test examples were")
            notes.append(f"{examples} training or validation of the earlier run: the start may score too well on them.")
        found = [score for _, score in then]
        return Before(
            run_id=result.run_id,
            run_dir=str(result.run_dir),
            method=result.method,
            models=dict(result.models),
            n=len(then),
            scores=Means(start=_mean([score for score, _ in then]), found=_mean(found)),
            now=Means(start=_mean([score for score, _ in now]), found=_mean([score for _, score in now])),
            difference=Gains(
                start=_gain([score for score, _ in now], found), found=_gain([score for _, score in now], found)
            ),
            notes=tuple(notes),
        )


def _mean(scores: list[float]) -> Measure | None:
    return Measure.of(estimate_mean(scores)) if scores else None


def _gain(new: list[float], old: list[float]) -> Difference | None:
    return Difference.of(paired_difference(new, old)) if old else None


def _inputs(row: Example | RecordedExample) -> str:
    return stable_hash(dict(row.inputs))


def _content(row: Example | RecordedExample) -> str:
    return stable_hash([dict(row.inputs), dict(row.expected)])


def _values(row: Example | Demonstration) -> str:
    """What stands in inputs, whatever they are called: a step may read a row under other names."""
    return stable_hash(sorted(stable_hash(each) for each in row.inputs.values()))
