"""The help pages of a shop for outdoor goods, as in `examples/pipeline`, and the search in them."""

import json
import math
import re
from collections import Counter
from pathlib import Path

LINES = (Path(__file__).parents[2] / "examples/pipeline/articles.jsonl").read_text(encoding="utf-8").splitlines()
PAGES = [f"{page['title']}: {page['text']}" for page in map(json.loads, LINES)]


def words(text: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"\w+", text.lower())]


COUNTS = [Counter(words(page)) for page in PAGES]
RARITY = {word: math.log(len(PAGES) / sum(word in each for each in COUNTS)) for each in COUNTS for word in each}


def search(query: str, most: int = 2) -> list[str]:
    """The pages that share the rarest words with a query."""
    asked = set(words(query))
    scores = [sum(RARITY[word] for word in asked & each.keys()) for each in COUNTS]
    best = sorted(range(len(PAGES)), key=lambda number: (-scores[number], number))
    return [PAGES[number] for number in best[:most]]
