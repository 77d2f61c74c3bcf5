"""Each change of a search in plain sentences: why it was tried, what it took, what came of it. `brief` has the whole in short."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from flowbot.fields.words import count, interval, percent
from flowbot.stats import BAR, FUTILE

from .changes import Change, Gradient, Outcome
from .data import RunView
from .words import SOURCES

BADGES: dict[Outcome, str] = {
    "kept": "in the result",
    "won": "won its race",
    "rejected": "rejected",
    "invalid": "not valid",
    "passed": "left behind",
    "open": "undecided",
}
"""What became of a change, in a word or two."""
_VOTES = re.compile(r"\s*\((\d+) of (\d+) votes\)")
_CODE = re.compile(r";? ?code by the (\w+)(?: model)?")
_SHOWN = re.compile(r"runs on (.+) were scored 1")
_MOST_NAMES = 4


@dataclass(frozen=True, slots=True)
class Told:
    """One change in words.

    Args:
        why: who asked for it and on what grounds, a sentence each; the gradients themselves stand in `change`.
        took: what it cost in calls; "" if that is not known.
        outcome: how its race went, or why there was none.
        later: what came of it after its race; "" for nothing.
    """

    change: Change
    why: tuple[str, ...]
    took: str
    outcome: str
    later: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """One bilevel loop: a change of the structure is sought, then of the texts of what stands."""

    number: int
    summary: str
    told: tuple[Told, ...]


def chapters(run: RunView) -> tuple[Chapter, ...]:
    """The whole course, loop by loop."""
    numbers = list(dict.fromkeys(change.round for change in run.changes))
    return tuple(
        _chapter(number, [tell(change, run) for change in run.changes if change.round == number]) for number in numbers
    )


def tell(change: Change, run: RunView) -> Told:
    """One change in words."""
    took = "" if change.spent is None else f"{count(change.spent, 'model call')}, those that led to it included."
    return Told(change, _why(change), took, _outcome(change), _later(change, run))


def _chapter(number: int, told: Sequence[Told]) -> Chapter:
    changes = [each.change for each in told]
    won = sum(change.kept is True for change in changes)
    raced = sum(change.kept is not None for change in changes)
    structures = sum(change.level == "structure" for change in changes)
    kinds = [
        count(structures, "change of the structure", "changes of the structure") if structures else "",
        count(len(changes) - structures, "change of prompts or code", "changes of prompts or code")
        if len(changes) > structures
        else "",
    ]
    summary = " and ".join(kind for kind in kinds if kind)
    if raced:
        summary += f"; {won} of {count(raced, 'race')} won"
    spent = sum(change.spent or 0 for change in changes)
    if spent:
        summary += f"; {count(spent, 'model call')}"
    return Chapter(number, f"{summary}.", tuple(told))


def _why(change: Change) -> tuple[str, ...]:
    said: list[str] = []
    for each in change.blamed:
        said.append(f"The meta model named step `{each.node}` as {each.text} of {_named(each)}.")
    reason = change.reason.strip()
    grounds = _CODE.sub("", reason).strip()
    votes, code = _VOTES.search(reason), _CODE.search(reason)
    if change.source == "meta":
        said.append(_asked(change, reason))
    elif grounds == "next in the catalogue":
        said.append("No gradient asked for it: it was the next in the catalogue of known patterns.")
    elif grounds == "drawn at random":
        said.append("Drawn at random from the catalogue: this method asks nobody.")
    elif grounds == "no run was scored 1":
        said.append("By rule: no run was right to learn from, so the step is shown what training examples expect.")
    elif shown := _SHOWN.fullmatch(grounds):
        said.append(f"By rule: the runs on {shown[1]} were right, so the step is shown what it did there.")
    else:
        said.append(f"No gradient asked for it: it comes from {SOURCES.get(change.source, change.source)}.")
        if grounds:
            said.append(_sentence(grounds))
    if votes:
        said.append(f"It got {votes[1]} of the meta model's {votes[2]} votes.")
    if code:
        author = "the meta model" if code[1] == "meta" else SOURCES.get(code[1], code[1])
        said.append(f"Its code is from {author}.")
    return tuple(each for each in said if each)


def _asked(change: Change, reason: str) -> str:
    """Who asked for a change of the meta model; its reason itself where no gradient says it already."""
    if change.gradients:
        one = len(change.gradients) == 1
        return (
            "The meta model asked for it, having seen what went wrong:"
            if one
            else "What the meta model said of mistakes:"
        )
    rest = _CODE.sub("", _VOTES.sub("", reason)).strip()
    return f"The meta model asked for it: {rest}" if rest else "The meta model asked for it."


def _outcome(change: Change) -> str:
    match change.outcome:
        case "invalid":
            return "It was not valid, so it never ran."
        case "open":
            return "It was not decided when the run stopped."
        case "passed":
            return "The search went on from it without a race, as this method does, and came to something else."
        case "kept" if change.kept is None:
            return "The search went on from it without a race, as this method does."
        case _:
            pass
    chance = "" if change.p_better is None else f"; P(better) {change.p_better:.2f}"
    scored = f"it scored {numbers(change)}{chance}"
    if change.kept:
        return f"It won its race: {scored}, where {BAR:.2f} is needed."
    if change.p_better is None:
        return f"It lost its race: {scored}."
    if change.p_better <= FUTILE:
        return f"It was dropped: {scored}, where {FUTILE:.2f} ends a race."
    return f"It was not clearly better: {scored}, where {BAR:.2f} is needed."


def _later(change: Change, run: RunView) -> str:
    scored = f"On validation it scored {percent(change.val.mean)} ({interval(change.val)})" if change.val else ""
    last = run.lineage[-1] if run.lineage else None
    if change is last:
        return f"{scored}: the best, so it is the result." if scored and run.done else "It is the result."
    if change.in_final:
        return f"{scored}. The result was built on it." if scored else "The result was built on it."
    beaten = f"; the result scored {percent(last.val.mean)}" if last is not None and last.val is not None else ""
    if scored:
        start = f"; the start scored {percent(run.start_val.mean)}" if last is None and run.start_val else ""
        return f"{scored}{beaten}{start}."
    return "The result does without it." if change.outcome == "won" and run.done else ""


def numbers(change: Change) -> str:
    """Both scores of a change's race."""
    if change.candidate is None or change.incumbent is None:
        return f"as {count(change.n, 'training example')} showed"
    return f"{percent(change.candidate)} against {percent(change.incumbent)} on {count(change.n, 'training example')}"


def _named(gradient: Gradient) -> str:
    names = gradient.example.split(", ")
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    listed = ", ".join(f"`{name}`" for name in names[:_MOST_NAMES])
    return f"{'the run on' if len(names) == 1 else 'the runs on'} {listed}{more}"


def _sentence(text: str) -> str:
    text = text.strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
