"""`flowbot train-generator`: an open model learns to write programs in words from what they are worth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from .console import Console
from .options import OUT, Calls, Output, TaskFile, whole

_PACKAGES = ("torch", "trl", "peft", "transformers", "datasets")


def train_generator(
    task: TaskFile,
    /,
    *,
    model: Annotated[Path, Parameter(negative=())],
    steps: Annotated[int, Parameter(converter=whole)],
    interpreter: str | None = None,
    reward: str | None = None,
    rows: Annotated[int | None, Parameter(converter=whole)] = None,
    samples: Annotated[int, Parameter(converter=whole)] = 4,
    program_tokens: Annotated[int, Parameter(converter=whole)] = 512,
    learning_rate: float = 3e-4,
    beta: float = 0.05,
    feedback: Literal["real", "shuffled"] = "real",
    seed: Annotated[int, Parameter(converter=whole)] = 0,
    vllm: Annotated[bool, Parameter(negative=())] = False,
    out: Annotated[Path, OUT] = Path("generator"),
    calls: Calls = Calls(),  # noqa: B008
    output: Output = Output(),  # noqa: B008
) -> int:
    """Train an open model to write programs in words for a task, by what they are worth (the extra train).

    The folder gets the adapter as safetensors, the best program, the curve and a report. The same command goes on from the last checkpoint;
    with more --steps it goes on further.

    Parameters
    ----------
    model
        The model that learns: a folder as transformers writes it, or a GGUF file.
    steps
        Updates in all, each from --samples programs.
    interpreter
        Model that runs the programs on training rows, such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b.
    reward
        FILE.py:NAME in place of --interpreter: a function of a program's steps and the training rows that returns a number from 0 to 1.
    rows
        Training rows that each program is run on, the first of the file; all otherwise.
    samples
        Programs a step; each is compared with the mean of the others.
    program_tokens
        Of a program at most.
    learning_rate
        Of the adapter.
    beta
        Price of leaving the base model, in reward a nat.
    feedback
        What the learner is told: real, the rewards; shuffled, those of other samples of the step: the control.
    seed
        Of sampling and of the adapter's first values.
    vllm
        Sample by vLLM on the GPU that learns.
    out
        The training's folder.
    """
    import asyncio

    from flowbot.lm.stop import StopSignal
    from flowbot.task import Task
    from flowbot.training.generator import Trained, require_training, train_generator_async
    from flowbot.training.learner import Learning
    from flowbot.web.extra import require_extra

    from .progress import Display
    from .signals import pausing

    console = Console.open(output)
    learning, loaded = Learning(model, steps, samples, program_tokens, learning_rate, beta, seed, vllm), Task.load(task)
    require_training(loaded, learning, interpreter=interpreter, reward=reward, rows=rows)
    calls.budget()
    if calls.dry_run:
        console.json({"dry_run": True, "programs": steps * samples})
        console.result(f"{steps * samples} programs at most would be written and scored; no model was called.")
        return 0
    require_extra("flowbot train-generator", "train", *_PACKAGES, *(["gguf"] if model.suffix == ".gguf" else []))
    stop, display = StopSignal(), Display(console)

    async def trained() -> Trained:
        with display:
            return await train_generator_async(
                loaded, learning, out, interpreter=interpreter, reward=reward, rows=rows, feedback=feedback,
                models=calls.listed(), progress=display.show, **calls.settings(stop),
            )  # fmt: skip

    with pausing(stop, say=display.news):
        found = asyncio.run(trained())
    facts = found.to_json()
    console.json(facts)
    if facts["first"] is not None:
        of = facts["window"]
        console.result(
            f"Mean reward {facts['first']:.3f} in the first {of} steps, {facts['last']:.3f} in the last {of}."
        )
    if facts["skipped"]:
        console.say(
            f"{facts['skipped']} of {facts['steps']} steps taught nothing: all samples had the same reward.", "soft"
        )
    console.say(f"Written: {out}; see {out / 'report.md'}.", "soft")
    if found.stopped_by:
        console.say(f"{found.stopped_by}. With a higher ceiling the same command goes on.", "warn")
    return 0
