"""Write the requests of this example: templates over what comes in and what is wanted. The plan follows by rule.

A family is one wording. Each family is in one split alone, and so is each pair of what comes in and what is wanted.
Everything is drawn from a fixed seed: running it again writes the same files.

    python generate.py [FOLDER]
"""

import json
import random
import sys
from dataclasses import dataclass
from itertools import chain, combinations, product
from pathlib import Path

from metrics import FROM_PHOTO, FROM_TEXT, LANGUAGES, REPAIRS, TRANSLATE, Data, simulate

SEED = 11
SIZES = {"train": 40, "val": 40, "test": 60}
TOOLS = {
    "denoise": "removes noise from a photo",
    "deblur": "removes blur from a photo",
    "upscale": "enlarges a photo that has neither noise nor blur",
    "colourise": "gives colours to a black-and-white photo",
    "caption": "writes a caption of a photo, in English",
    "classify": "names what a photo shows, in English",
    "detect": "lists the things on a photo, in English",
    "answer_photo": "answers a question about a photo, in English",
    "summarise": "makes a short version of an English text",
    "feeling": "says how the writer of an English text feels",
    "fill_gap": "fills the gap of an English sentence",
    "answer_text": "answers a question about an English text",
    "continue_text": "writes a story about an English text",
    "draw": "draws what an English text says",
    **{tool: f"translates a text into {language}" for tool, language in TRANSLATE.items()},
}
OTHERS = (2, 4)
"""How many tools of a request its plan does not need."""
WORDS = {"noise": "noisy", "blur": "blurred", "low resolution": "low-resolution", "grey": "black-and-white"}
OPENINGS = {
    "train": ("From {source}, make {goal}.", "You are given {source}. What is needed is {goal}.", "Turn {source} into {goal}."),
    "val": ("We hold {source} and want {goal}.", "How does one get {goal} out of {source}?", "Take {source}; hand back {goal}."),
    "test": (
        "A customer sends {source} and asks for {goal}.",
        "{goal}, please: here is {source}.",
        "Plan the steps that lead from {source} to {goal}.",
        "My input is {source}. My output has to be {goal}.",
    ),
}  # fmt: skip
SOURCES = {
    "article": "an article",
    "review": "a product review",
    "gap text": "a sentence with a gap",
    "passage": "a passage and a question about it",
}
GOALS = {
    "caption": "a caption of it{of}",
    "label": "the name{of} of what it shows",
    "object list": "a list{of} of the things on it",
    "answer": "the answer{of} to the question",
    "story": "a story{of} about it",
    "summary": "a short version{of}",
    "feeling": "a word{of} for how the writer feels",
    "sentence": "the whole sentence{of}",
    "drawing": "a drawing of what it says",
}
OF_TEXT = {
    "article": ("summary", "story", "drawing"),
    "review": ("feeling", "summary"),
    "gap text": ("sentence",),
    "passage": ("answer",),
}


@dataclass(frozen=True)
class Case:
    """What comes in and what is wanted."""

    start: Data
    wanted: Data


def cases() -> list[Case]:
    """All that can be asked for."""
    every = [frozenset(some) for size in range(5) for some in combinations(REPAIRS.values(), size)]
    photos = [
        Case(Data("photo", faults=faults), Data(what, language))
        for faults, what, language in product(every, (*FROM_PHOTO.values(), "story"), LANGUAGES)
    ]
    repairs = [Case(Data("photo", faults=faults), Data("photo")) for faults in every if faults]
    texts = [
        Case(Data(source, language), Data(goal, "" if goal == "drawing" else wanted))
        for source, goals in OF_TEXT.items()
        for goal, language, wanted in product(goals, LANGUAGES, LANGUAGES)
    ]
    return list(dict.fromkeys(chain(photos, repairs, texts)))


def plan_for(case: Case) -> list[str]:
    """The shortest plan."""
    start, wanted = case.start, case.wanted
    plan = [tool for tool, fault in REPAIRS.items() if fault in start.faults]
    if wanted.what == "photo":
        return plan
    if start.what == "photo":
        plan.append({made: tool for tool, made in FROM_PHOTO.items()}.get(wanted.what, "caption"))
        plan += ["continue_text"] if wanted.what == "story" else []
    else:
        plan += ["to_english"] if start.language != "English" else []
        plan.append({made: tool for tool, made in FROM_TEXT.items()}.get(wanted.what, "draw"))
    return [*plan, *([f"to_{wanted.language.lower()}"] if wanted.language not in ("", "English") else [])]


def said(case: Case, opening: str) -> str:
    """The request in words."""
    start, wanted = case.start, case.wanted
    if start.what == "photo":
        faults = ", ".join(WORDS[fault] for fault in REPAIRS.values() if fault in start.faults)
        source = f"a {faults} photo" if faults else "a clean photo"
        source += " and a question about it" if wanted.what == "answer" else ""
    else:
        source = f"{SOURCES[start.what]} in {start.language}"
    of = f" in {wanted.language}" if wanted.language else ""
    goal = GOALS[wanted.what].format(of=of) if wanted.what != "photo" else "the same photo without these faults"
    text = opening.format(source=source, goal=goal)
    return text[0].upper() + text[1:]


def deal(rng: random.Random) -> dict[str, list[dict[str, object]]]:
    """The rows of each split: kinds of goals in turn, so that none fills a split."""
    by_goal: dict[tuple[str, str], list[Case]] = {}
    for case in rng.sample(found := cases(), len(found)):
        by_goal.setdefault((case.start.what, case.wanted.what), []).append(case)
    rows: dict[str, list[dict[str, object]]] = {split: [] for split in SIZES}
    for split, size in SIZES.items():
        turn = 0
        kinds = rng.sample(sorted(by_goal), len(by_goal))
        while len(rows[split]) < size:
            of_kind = by_goal[kinds[turn % len(kinds)]]
            turn += 1
            if len(of_kind) < 2:
                continue
            case, opening = of_kind.pop(), OPENINGS[split][len(rows[split]) % len(OPENINGS[split])]
            plan = plan_for(case)
            assert simulate(case.start, case.wanted, plan)["score"] == 1
            rows[split].append(
                {
                    "id": f"{split}-{len(rows[split]) + 1:03d}",
                    "tools": toolbox(rng, plan),
                    "request": said(case, opening),
                    "plan": plan,
                    "family": f"{split}-{OPENINGS[split].index(opening) + 1}",
                    "start": shown(case.start),
                    "wanted": shown(case.wanted),
                }
            )
        rng.shuffle(rows[split])
    return rows


def toolbox(rng: random.Random, plan: list[str]) -> str:
    """The tools that a request comes with: those of its plan among some others, in any order."""
    names = [*plan, *rng.sample([tool for tool in TOOLS if tool not in plan], rng.randint(*OTHERS))]
    return "\n".join(f"{tool}: {TOOLS[tool]}" for tool in rng.sample(names, len(names)))


def shown(data: Data) -> dict[str, object]:
    """Data as a row holds it."""
    return {"what": data.what, "language": data.language, "faults": sorted(data.faults)}


def main(folder: Path) -> None:
    """Write train.jsonl, val.jsonl and test.jsonl into a folder."""
    for split, rows in deal(random.Random(SEED)).items():
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{split}.jsonl").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
