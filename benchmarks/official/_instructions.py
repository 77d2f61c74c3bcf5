"""Instructions: texts as models write them, scored by us and by the package's own evaluation."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

from flowbot.benchmark.sets.registry import load_set
from flowbot.benchmark.sets.scorers.instructions import RESPONSE, Kind, checkers
from flowbot.task import Example
from scorers import CASES, Case


def replies(example: Example) -> list[str]:
    """Texts as models write them: some follow what rows ask for, some do in part, and some not at all."""
    prompt: str = example.inputs["prompt"]
    words = [
        str(each)
        for given in example.extra["kwargs"]
        for value in given.values()
        for each in (value if isinstance(value, list) else [value])
    ]
    plain = f"Sure. Here is what you asked for, in short: {' '.join(prompt.split()[:30])}. It was written by Dr. Smith in 2021."
    listed = "\n".join(f"* Point {number}: something of use." for number in range(1, 4))
    parts = "\n\n***\n\n".join(f"Paragraph {number} says so. It has two sentences!" for number in range(1, 5))
    last = words[-1] if words else "done"
    return [
        plain,
        plain.lower().replace(",", ""),
        plain.upper(),
        f"<<A title>>\n\n{listed}\n\nP.S. Is there anything else I can help with?",
        f"**Here is my answer:**\n\n{parts}\n\nI hope this helps.",
        json.dumps({"answer": plain, "words": words}, ensure_ascii=False),
        f'"{plain} {" ".join(words)} {" ".join(words)}"',
        f"{prompt}\n\n*Highlighted one* and *highlighted two* and *highlighted three*. [name] [address] [place]\n{last}",
        f"First response, short.\n******\n{plain}",
        "\n".join(
            f"Section {number}\nSECTION {number}\nText with {word}." for number, word in enumerate([*words, "x"], 1)
        ),
        f"{' '.join([plain] * 20)}\n\n{listed}\n{last}",
        "My answer is yes.",
        "Amor omnia vincit et nos cedamus amori ni fallor: नमस्ते दुनिया, यह एक वाक्य है।",
        " ".join(words * 5) or "ok",
        "",
    ]


def cases(name: Kind, folder: Path, variant: str = "") -> Iterator[Case]:
    """Each kind of reply to each of the first rows. A score is the mean of four: followed strictly, loosely, and the two shares."""
    import langdetect
    from if_verifiable.common import evaluate_instructions

    task = load_set(name, folder, variant=variant)
    for row in [*task.test, *task.val, *task.train][:CASES]:
        for number, reply in enumerate(replies(row), 1):
            score = task.metric(row, {RESPONSE: reply})
            random.seed(0)
            langdetect.DetectorFactory.seed = 0
            given = (row.extra["instruction_id_list"], row.extra["kwargs"], row.inputs["prompt"], checkers(name))
            _, theirs = evaluate_instructions(reply, *given)
            ours = score.value + sum(score.parts.values())
            official = theirs.binary_strict + theirs.binary_loose + theirs.partial_strict + theirs.partial_loose
            yield Case(name, row.id, f"reply {number}", ours / 4, official / 4)
