"""Which instructions a response follows, by the publishers' checkers in the package `if-verifiable` (Zhou et al. 2023 for IFEval,
Pyatkin et al. 2025 for IFBench), strictly and loosely.

The checkers draw lots and guess languages at random; here both start from one seed for each check. They never fetch anything: what
they need of NLTK's data is looked for when the task is made. Some take minutes on a long text that repeats itself, as small models
write them, so they run in a process that can be ended.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Literal, cast

from flowbot.fields import Score, UserError
from flowbot.fields.words import cut, listed
from flowbot.task import Example, Metric

from .helper_process import HelperProcess
from .official import official

Kind = Literal["ifeval", "ifbench"]
RESPONSE = "response"
"""The output that is scored."""
SECONDS = 10.0
"""That the checks of one response may take; one that takes longer scores 0."""
PACKAGES = ("if-verifiable", "nltk", "langdetect", "emoji", "syllapy")
"""What a score depends on."""
NLTK_DATA: Mapping[str, tuple[str, ...]] = {
    "length_constraints:number_sentences": ("punkt_tab",),
    "change_case:capital_word_frequency": ("punkt_tab",),
    "ratio:stop_words": ("stopwords",),
    "format:title_case": ("punkt_tab",),
    "words:words_position": ("punkt_tab",),
    "words:keywords_specific_position": ("punkt_tab",),
    "words:start_verb": ("punkt_tab", "averaged_perceptron_tagger_eng"),
}
"""What checkers read of NLTK's data."""
_FOLDERS = {"punkt_tab": "tokenizers", "stopwords": "corpora", "averaged_perceptron_tagger_eng": "taggers"}


def follows_instructions(kind: Kind) -> Metric:
    """The metric of a set.

    Raises:
        UserError: if the package whose checkers decide is not installed.
    """
    _ = checkers(kind)
    return official(kind, partial(instructions_followed, kind), rule=1, pure=False, packages=PACKAGES)


def instructions_followed(kind: Kind, example: Example, outputs: Mapping[str, Any]) -> Score:
    """1 if all instructions are followed to the letter, and 0 otherwise, with those that are not.

    Its parts: `loose`, the same where the first or last line and asterisks may be left out; `instructions` and
    `instructions_loose`, the share of the instructions that are followed.

    Raises:
        RuntimeError: if the process that checks does not begin, or NLTK's data went away.
    """
    reply = outputs.get(RESPONSE)
    response = reply if isinstance(reply, str) else ""
    names: list[str] = example.extra["instruction_id_list"]
    asked = list(zip(names, example.extra["kwargs"], strict=True))
    question = {"kind": kind, "asked": asked, "prompt": example.inputs["prompt"], "response": response}
    answer = helper().ask(question) or {
        "found": [(False, False, f"it could not be checked in {SECONDS:g} s")] * len(names)
    }
    if "lacking" in answer:
        raise RuntimeError(answer["lacking"])
    found: list[tuple[bool, bool, str]] = answer["found"]
    strict, loose = [each[0] for each in found], [each[1] for each in found]
    parts = {
        "loose": float(all(loose)),
        "instructions": sum(strict) / len(found),
        "instructions_loose": sum(loose) / len(found),
    }
    missed = [f"{name} ({cut(told, 300)})" for (ok, _, told), name in zip(found, names, strict=True) if not ok]
    return Score(float(all(strict)), f"not followed: {'; '.join(missed)}" if missed else "", parts)


@cache
def helper() -> HelperProcess:
    """The process that checks, begun at the first question."""
    return HelperProcess(Path(__file__).with_name("instructions_program.py"), SECONDS)


def followed(
    kind: Kind, asked: Iterable[tuple[str, Mapping[str, Any]]], prompt: str, response: str
) -> list[tuple[bool, bool, str]]:
    """Of each instruction: whether it is followed strictly and loosely, and what it asks for. Not from several threads at once.

    Args:
        kind: of the set.
        asked: names of instructions with their arguments.
        prompt: which they belong to.
        response: what is checked.

    Raises:
        LookupError: if NLTK's data went away.
    """
    return [_followed(kind, name, given, prompt, response) for name, given in asked]


def loosened(response: str) -> list[str]:
    """What is looked at loosely: the response whole, without its first line, its last one and both, each with and without asterisks."""
    lines = response.split("\n")
    whole = [response, *("\n".join(lines[first:last]).strip() for first, last in ((1, None), (0, -1), (1, -1)))]
    return [text.replace(mark, "") if mark else text for mark, text in product(("", "*"), whole)]


def checkers(kind: Kind) -> Mapping[str, Any]:
    """The publisher's checkers by the names of their instructions.

    Raises:
        UserError: if the package is not installed, naming what installs it.
    """
    return _checkers(kind)[0]


def require_nltk_data(names: Iterable[str], where: str) -> None:
    """Refuse instructions whose checkers lack data, before anything is paid for.

    Raises:
        UserError: naming the data, the instructions and how it is had.
    """
    needed: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        for each in NLTK_DATA.get(name, ()):
            needed.setdefault(each, []).append(name)
    lacking = {each: of for each, of in needed.items() if not _has_nltk_data(each)}
    if lacking:
        told = "; ".join(f"{each}, for {listed(of)}" for each, of in lacking.items())
        mend = f"python -m nltk.downloader {' '.join(lacking)}, or NLTK_DATA=FOLDER that has them"
        raise UserError(where, f"no NLTK data {told}", mend=mend)


def _has_nltk_data(name: str) -> bool:
    data: Any = import_module("nltk.data")
    for end in ("", ".zip"):
        try:
            data.find(f"{_FOLDERS[name]}/{name}{end}")
        except LookupError:
            continue
        return True
    return False


@cache
def _checkers(kind: Kind) -> tuple[Mapping[str, Any], Sequence[Any]]:
    """The checkers, and the modules that draw lots. Their import would fetch NLTK's data."""
    try:
        _ = version("if-verifiable")
    except PackageNotFoundError:
        raise UserError(
            kind, "no package if-verifiable, whose checkers score it", mend="pip install 'flowbot[bench]'"
        ) from None
    nltk: Any = import_module("nltk")
    fetch, nltk.download = nltk.download, _nothing
    try:
        registry: Any = import_module(f"if_verifiable.{kind}.instructions_registry")
    finally:
        nltk.download = fetch
    found: dict[str, Any] = registry.INSTRUCTION_DICT
    quiet = logging.Logger("if_verifiable")  # it would configure the logging of the whole program
    quiet.addHandler(logging.NullHandler())
    sys.modules[f"if_verifiable.{kind}.instructions"].logging = quiet  # pyright: ignore[reportAttributeAccessIssue]
    return found, [sys.modules[f"if_verifiable.{kind}.{each}"] for each in ("instructions", "instructions_util")]


def _nothing(*_: object, **__: object) -> bool:
    """Stands in for NLTK's download: nothing was fetched."""
    return False


def _followed(kind: Kind, name: str, given: Mapping[str, Any], prompt: str, response: str) -> tuple[bool, bool, str]:
    """Whether one instruction is followed strictly and loosely, and what it asks for."""
    found, drawing = _checkers(kind)
    for module in drawing:
        module.random = Random(0)
    cast("Any", import_module("langdetect")).DetectorFactory.seed = 0
    checker = found[name](name)
    told = str(checker.build_description(**{each: value for each, value in given.items() if value is not None}) or name)
    arguments: Mapping[str, Any] | None = checker.get_instruction_args()
    if arguments and "prompt" in arguments:
        _ = checker.build_description(prompt=prompt)
    texts = loosened(response)
    strict = _passes(checker, texts[0])
    return strict, strict or any(_passes(checker, text) for text in texts[1:]), told


def _passes(checker: Any, text: str) -> bool:
    """Whether a checker lets a text pass. One that breaks off at what a model wrote has not found what it looks for."""
    try:
        return bool(text.strip()) and bool(checker.check_following(text))
    except LookupError as error:
        if "Resource" in str(error):  # NLTK's data went away
            raise
        return False
    except Exception:
        return False
