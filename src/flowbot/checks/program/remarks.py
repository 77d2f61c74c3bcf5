"""What the runs on made-up replies show: texts that arrive nowhere, calls that nobody sees, requests without a bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from flowbot.fields.words import count, cut, listed
from flowbot.task.quality import Remark

from .observed import Declared, Observed, Run, marks, said, turn_marks

LIMITS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
_TELLING = 8
"""Letters from which on a default that stands in a request is no chance."""
_READ = "read it in the function that uses it, as str(NAME) or in an f-string there"


def defects(seen: Observed, *, program: str, max_calls: int | None, writes: bool) -> list[Remark]:
    """What keeps a search from working, or makes it pay for nothing.

    Args:
        seen: of one process.
        program: how it is named, as `app.py:answer`.
        max_calls: model calls that it may make at most.
        writes: whether the task says that it writes.
    """
    found = [remark for each in seen.texts for rule in (_text, _turns) for remark in rule(each, seen.runs)]
    found += _errors(seen.runs, program)
    lacks = next((run.lacks for run in seen.runs if run.lacks), ())
    if lacks:
        mend = "a mapping with the task's outputs by name, or an object with such fields"
        found.append(Remark(program, f"returns no {listed(lacks)}", mend))
    found += _past_the_tap(seen, program)
    most = max((len(run.asked) for run in seen.runs), default=0)
    if max_calls is not None and most > max_calls:
        example = next(run.example for run in seen.runs if len(run.asked) == most)
        what = f"made {count(most, 'model call')} on {example}, more than max_calls: {max_calls}"
        found.append(Remark(program, what, "a bound in its loop, or a higher `max_calls`"))
    if not writes:
        found += _deeds(
            seen.runs,
            "writes",
            "`effects: writes` and a stand-in (`simulate:`) for it in the task file, or write nothing",
        )
    return found


def warnings(seen: Observed, *, program: str) -> list[Remark]:
    """What is worth a second look.

    Args:
        seen: of one process.
        program: how it is named.
    """
    found: list[Remark] = []
    on = _on(seen.runs)
    for each in seen.values:
        if not any(each.name in run.values for run in seen.runs):
            found.append(
                Remark(each.where, f"value {each.name} is never read on {on}", "call it where the number is used")
            )
    for each in seen.texts:
        if _reach(each, seen.runs) == "unseen":
            found.append(_unseen(each, seen.runs))
    bare = [
        asked
        for run in seen.runs
        if not run.marked
        for asked in run.asked
        if not any(asked.body.get(name) for name in LIMITS)
    ]
    if bare:
        scopes = listed(list(dict.fromkeys(asked.scope or program for asked in bare)), 5)
        what = (
            f"{count(len(bare), 'request')} without a token limit ({scopes}): each reserves the model's longest reply"
        )
        found.append(Remark(program, what, "max_tokens in the call, or --max-reply-tokens"))
    found += _deeds(seen.runs, "starts", "the tap does not see what another process calls: give it the proxy's address")
    return found


def _reach(text: Declared, runs: Sequence[Run]) -> str:
    """How far a text gets: `whole`, `cut behind`, `cut before`, `imported`, `kept`, `read` or `unseen`."""
    before, behind = marks(text.name)
    best = "unseen"
    for number, run in enumerate(runs):
        if not run.marked:
            continue
        told = [said(each).lower() for each in run.asked]
        ends = {(before.strip() in each, behind.strip() in each) for each in told} - {(False, False)}
        if (True, True) in ends:
            best = "whole"
        elif ends:
            return "cut behind" if (True, False) in ends else "cut before"
        elif text.name in run.texts:
            best = "read" if best == "unseen" else best
        elif len(text.default) >= _TELLING and any(text.default.lower() in each for each in told):
            return "kept" if any(text.name in each.texts for each in runs[:number]) else "imported"
    return best


def _text(text: Declared, runs: Sequence[Run]) -> Iterator[Remark]:
    match _reach(text, runs):
        case "imported":
            what = f"text {text.name} is read when the file is imported: what is found for it arrives nowhere"
            yield Remark(text.where, what, _READ)
        case "kept":
            what = f"text {text.name} is read once and kept, as by lru_cache: what is found for it arrives nowhere"
            yield Remark(text.where, what, "leave the cache out, or hand the text in as an argument of what is cached")
        case "cut behind" | "cut before" as how:
            end = "end" if how == "cut behind" else "beginning"
            yield Remark(
                text.where, f"text {text.name} is cut off at its {end} before it is sent", "send the whole text"
            )
        case "read":
            what = f"text {text.name} is read, and stands in no request on {_on(runs)}"
            yield Remark(text.where, what, "send it to a model as it is, or make it a fb.Value")
        case _:
            pass


def _turns(text: Declared, runs: Sequence[Run]) -> Iterator[Remark]:
    """Worked examples that arrive nowhere, where their text arrives."""
    mark, marked = turn_marks(text.name)[0].strip(), [run for run in runs if run.marked]
    if (
        text.turns
        and _reach(text, runs) == "whole"
        and not any(mark in said(a).lower() for r in marked for a in r.asked)
    ):
        read = any(text.name in run.turns for run in marked)
        what = f"the turns of text {text.name} are {'read, and stand in no request' if read else 'not read'} on {_on(runs)}"
        mend = "*NAME.turns() among the messages, before what is asked; or leave `turns=` out"
        yield Remark(text.where, f"{what}: worked examples arrive nowhere", mend)


def _unseen(text: Declared, runs: Sequence[Run]) -> Remark:
    failed = next((run for run in runs if run.error), None)
    if failed is not None and all(run.error for run in runs):
        what = f"text {text.name} was not reached: on a made-up reply the program ends with {cut(failed.error, 100)}"
        return Remark(text.where, what, "nothing, if real replies lead there")
    what = f"text {text.name} is not read on {_on(runs)}"
    return Remark(text.where, what, "use it, or leave it out, if nothing leads there")


def _errors(runs: Sequence[Run], program: str) -> Iterator[Remark]:
    """What is raised before any model is asked is no made-up reply's fault."""
    plain = [run for run in runs if not run.marked]
    for run in plain[:1] if all(run.error and not run.asked for run in plain) else ():
        what = f"raises {cut(run.error, 200)} on {run.example} before it asks a model"
        yield Remark(program, what, "mend it, or the row")


def _past_the_tap(seen: Observed, program: str) -> Iterator[Remark]:
    yield from _deeds(seen.runs, "connects", "httpx or an SDK on it (openai, anthropic, litellm), which the tap sees")
    ended = [run for run in seen.runs if not run.error]
    if ended and not any(run.asked for run in seen.runs):
        read = any(run.texts for run in seen.runs)
        what = f"{'reads its texts and ' if read else ''}makes no model call that the tap sees, on {_on(seen.runs)}"
        yield Remark(
            program, what, "call models by httpx or an SDK on it (openai, anthropic, litellm), in this process"
        )


def _deeds(runs: Sequence[Run], deed: str, mend: str) -> Iterator[Remark]:
    """One remark for each place, with the first thing that it did."""
    first = {
        (each.where, each.deed): each for run in reversed(runs) for each in reversed(run.touched) if each.deed == deed
    }
    words = {"connects": "calls {} past the tap", "starts": "starts a process: {}", "writes": "writes {}"}[deed]
    for each in first.values():
        yield Remark(each.where or "program", words.format(cut(each.what, 100)), mend)


def _on(runs: Sequence[Run]) -> str:
    return count(len({run.example for run in runs}), "example")
