"""The score of a plan: a simulator runs it on a description of what comes in, without any model or picture.

Each tool takes data of one kind and gives data of another. The simulator keeps what is known of the data: its kind, the faults of the photo
that it comes from, and its language. A plan is worth the share of what was wanted that is reached, times the share of its steps that ran and
changed something; a step that cannot run is passed over. So a plan that lists all tools in the hope that the right ones are among them is worth little.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

LANGUAGES = ("English", "German", "French", "Spanish")
REPAIRS = {"denoise": "noise", "deblur": "blur", "upscale": "low resolution", "colourise": "grey"}
"""The fault that a tool removes from a photo."""
FROM_PHOTO = {"caption": "caption", "classify": "label", "detect": "object list", "answer_photo": "answer"}
"""What a tool makes of a photo, in English."""
FROM_TEXT = {
    "summarise": "summary",
    "feeling": "feeling",
    "fill_gap": "sentence",
    "answer_text": "answer",
    "continue_text": "story",
}
"""What a tool makes of an English text."""
TRANSLATE = {f"to_{language.lower()}": language for language in LANGUAGES}
TOOLS = (*REPAIRS, *FROM_PHOTO, *FROM_TEXT, "draw", *TRANSLATE)


@dataclass(frozen=True)
class Data:
    """What is known of data on its way through a plan.

    Args:
        what: photo, drawing, or a kind of text.
        language: of a text; "" of a picture.
        faults: of the photo that it is, or comes from.
    """

    what: str
    language: str = ""
    faults: frozenset[str] = frozenset()


def step(tool: str, data: Data) -> Data | str:
    """What a tool makes of data; the same data where it changes nothing; why it cannot run, in words."""
    if tool not in TOOLS:
        return "is no tool"
    if tool in REPAIRS:
        if data.what != "photo":
            return f"takes a photo, not a {data.what}"
        in_the_way = {"noise", "blur"} & data.faults if tool == "upscale" else ()
        return data if in_the_way else replace(data, faults=data.faults - {REPAIRS[tool]})
    if tool in FROM_PHOTO:
        return (
            replace(data, what=FROM_PHOTO[tool], language="English")
            if data.what == "photo"
            else f"takes a photo, not a {data.what}"
        )
    if not data.language:
        return f"takes text, not a {data.what}"
    if tool in TRANSLATE:
        return replace(data, language=TRANSLATE[tool])
    if data.language != "English":
        return f"takes English text, not {data.language}"
    return replace(data, what="drawing", language="") if tool == "draw" else replace(data, what=FROM_TEXT[tool])


def reached(start: Data, wanted: Data, end: Data) -> dict[str, bool]:
    """What was wanted and is not so from the start, and whether it is so at the end."""
    there = end.what == wanted.what
    goals = {f"without {fault}": fault not in end.faults for fault in sorted(start.faults - wanted.faults)}
    if start.what != wanted.what:
        goals[f"a {wanted.what}"] = there
    if wanted.language and (start.what, start.language) != (wanted.what, wanted.language):
        goals[f"in {wanted.language}"] = there and end.language == wanted.language
    return goals


def simulate(start: Data, wanted: Data, plan: Sequence[str]) -> dict[str, Any]:
    """The score of a plan, what is wrong with it in words, and its two parts."""
    data, useful, said = start, 0, list[str]()
    for number, tool in enumerate(plan, 1):
        after = step(tool, data)
        if isinstance(after, str):
            said.append(f"step {number} cannot run: {tool} {after}")
            continue
        if after == data:
            said.append(f"step {number} changes nothing: {tool}")
        useful += after != data
        data = after
    goals = reached(start, wanted, data)
    said += [
        f"the result is not {goal}" if goal.startswith(("in", "without")) else f"the result is no{goal[1:]}"
        for goal, so in goals.items()
        if not so
    ]
    share, valid = sum(goals.values()) / len(goals), useful / max(1, len(plan))
    return {"score": round(share * valid, 6), "feedback": "; ".join(said), "parts": {"reached": share, "valid": valid}}


def known(told: Mapping[str, Any]) -> Data:
    """What stands in a row about data."""
    return Data(told["what"], told["language"], frozenset(told["faults"]))


def score(example: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The score of the plan for the request of a row."""
    return simulate(known(example.extra["start"]), known(example.extra["wanted"]), outputs["plan"] or ())


def by_words(steps: Sequence[Mapping[str, Any]], examples: Sequence[Any]) -> float:
    """What a program in words is worth without a model: the mean score of the plans that its own words name.

    Each step on the way adds the tools that its instruction names, in that order. At a decision the way goes on by the branch whose key is the
    kind of what comes in (photo or text), else by the first one. No request is read, so no program gets all plans right.
    """
    return sum(_of_words(steps, example) for example in examples) / len(examples)


def _of_words(steps: Sequence[Mapping[str, Any]], example: Any) -> float:
    start, by_name = known(example.extra["start"]), {each["name"]: each for each in steps}
    here, plan = steps[0], list[str]()
    for _ in steps:  # a way that turns back ends there
        words = re.findall(r"[a-z_]+", here["instruction"].lower())
        plan += [word for word in words if word in TOOLS]
        ways = {key.lower(): target for key, target in here["branches"]}
        if not ways:
            break
        here = by_name[ways.get("text" if start.language else "photo", here["branches"][0][1])]
    return simulate(start, known(example.extra["wanted"]), plan)["score"]
