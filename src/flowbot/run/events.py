"""What a run tells of itself: one class an event. Whoever reads a run reads these and parses no sentence.

The loop writes them in an order that a replay repeats; none holds a wall-clock time. A line of the journal is `dump(event)`,
and `load` makes the event of it again, checked for type, size and range.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, Strict, TypeAdapter, ValidationError

from flowbot.fields import UserError
from flowbot.fields.foreign import Amount, Count, Gain, Record, Share, explain, place_text
from flowbot.stats import Estimate

VERSION = 2
"""Of the journal's format: what `Started` says. Version 1, of FlowBot 0.1, had events without a class."""

Level: TypeAlias = Literal["structure", "parameters"]
Source: TypeAlias = Literal["meta", "prior", "history", "start"]
"""Who thought of a change: the meta model, a rule or the shipped prior, what the run itself has learned; or it is the start."""
WRITTEN = "edits"
"""The kind of a change whose edits a model wrote, which is none of the catalogue's."""
Decision: TypeAlias = Literal["adopt", "drop", "set aside", "confirm", "refute"]
"""Of a candidate in the search: adopted as the incumbent, dropped, or kept open while calls are better spent elsewhere. At the
end, on validation: confirmed as the result, or refuted."""
Split: TypeAlias = Literal["train", "val", "test"]
Mends: TypeAlias = Literal["yes", "no", "unsure"]
"""Whether another prompt could mend a fault, the structure as it is."""
Texts: TypeAlias = Annotated[tuple[str, ...], Strict(False)]
"""JSON has lists alone; what is in it is strict."""


class Arm(Record):
    """A kind of change about a place: `compute` at `answer`, `demonstrate` at `refine/critic`."""

    kind: str
    place: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.place}".strip()


class Measure(Record):
    """A mean of scores with its 95 % interval, over `n` examples."""

    mean: Share
    low: Share
    high: Share
    n: Count

    @staticmethod
    def of(estimate: Estimate) -> Measure:
        """An estimate as an event has it."""
        return Measure(mean=estimate.mean, low=estimate.low, high=estimate.high, n=estimate.n)


class Difference(Record):
    """A mean paired difference of scores with its 95 % interval, over `n` examples."""

    mean: Gain
    low: Gain
    high: Gain
    n: Count

    @staticmethod
    def of(estimate: Estimate) -> Difference:
        """As of a `Measure`."""
        return Difference(mean=estimate.mean, low=estimate.low, high=estimate.high, n=estimate.n)


class Started(Record):
    """A run began: what is to be solved, by which method and models, from which program."""

    event: Literal["started"] = "started"
    version: Literal[2] = VERSION
    run: str
    task: str
    goal: str
    method: str
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    effort: Count
    """Planned search calls."""
    models: Mapping[str, str]
    """Model strings by role: `task`, `meta`, `judge`."""
    meta_mode: Literal["auto", "small", "large"] = "auto"
    """How the meta model is asked; what `auto` came to, an event says."""
    feedback: Literal["real", "shuffled", "blind"] = "real"
    """What it is told of mistakes."""
    order: Literal["free", "prompts-first", "alternate"] = "free"
    """In which order changes of structure and parameters are tried."""
    objective: str = "score"
    """What is better: `score`, `cost`, `latency`, or what units are worth in score, as `score=1,usd=0.2`."""
    limits: Mapping[str, Count | Amount] = {}
    """What no program may pass, by the option's name."""
    price: str = ""
    """What the user says of prices, as `--price` takes it, where the search goes by them."""
    start: str
    """Hash of the program that it begins with."""
    program: Mapping[str, Any]
    """That program as data."""

    @property
    def method_text(self) -> str:
        """The method, and what is not as usual: how the meta model is asked, the order of changes: `flowbot+blame, feedback blind`."""
        mode = "" if self.meta_mode == "auto" else f", asked as {self.meta_mode}"
        told = "" if self.feedback == "real" else f", feedback {self.feedback}"
        order = "" if self.order == "free" else f", order {self.order}"
        return (
            self.method + mode + told + order + ("" if self.objective == "score" else f", objective {self.objective}")
        )


class Feedback(Record):
    """A textual gradient: what is said of one place of one recorded run."""

    event: Literal["feedback"] = "feedback"
    id: str
    about: str
    """Hash of the program that was run."""
    example: str
    """Id of the example; "" where it speaks of several."""
    place: str
    """Address of the call; "" speaks of the structure."""
    part: str = ""
    """Of the call: "" of what it gave; else the parameter (`instruction`, `format_hint`, `demonstrations`, `tools`, `code`,
    `messages[2]`) or the input (`in.NAME`) that is spoken of."""
    text: str
    source: Literal["meta", "rule"]
    after: Texts = ()
    """Ids of the feedback that it came from: of the calls that read what this one gave; of a diagnosis, that on the runs that it
    sums up."""
    mends: Mends | None = None
    """Of a diagnosis: whether another prompt could mend it."""


class Votes(Record):
    """How many ballots named a change."""

    won: Count
    of: Count


class Proposal(Record):
    """A changed program that a strategy hands in, or what kept it from being one."""

    event: Literal["proposal"] = "proposal"
    id: str
    level: Level
    arm: Arm
    parents: Annotated[tuple[str, ...], Strict(False), Field(min_length=1)]
    """Hashes of the programs that it was made from. What it is compared with its verdict says."""
    program: str | None
    """Its hash; None where no valid program came of it."""
    dump: Mapping[str, Any] | None = None
    """The program as data."""
    edits: Texts = ()
    """What was changed, in words."""
    title: str
    source: Source
    reason: str = ""
    """Why, in a sentence of whoever proposed it."""
    because: Texts = ()
    """Ids of the feedback that asked for it."""
    votes: Votes | None = None
    code_by: Literal["meta", "prior"] | None = None
    """Who wrote its code, where it has some."""
    shown: Texts = ()
    """Ids of the training rows that its author was shown: they are left out where it is judged."""
    faults: Texts = ()
    """What was wrong with earlier tries, or with this one."""


class Verdict(Record):
    """What was decided of a proposal, and on what."""

    event: Literal["verdict"] = "verdict"
    proposal: str
    incumbent: str
    """Hash of the program that it was compared with."""
    decision: Decision
    rule: str
    """Name of the rule that decided: `posterior`, `cheaper`, `latency` (it takes longer than it may), `always`, `validation`,
    `mean of validation`, …"""
    n: Count
    """Pairs."""
    mine: Share
    theirs: Share
    """Means of the two sides over the pairs."""
    gain: Gain
    """What is believed of the gain: the posterior's mean, in score."""
    spread: Amount
    """The posterior's standard deviation."""
    p: Share
    """Probability that it is better; of rule `cheaper`, that it is not worse by more than what is tolerated; of `always` and
    `mean of …`, which reckon no chance, a half."""
    spent: Count
    """Logical calls of the run until then."""


class Measured(Record):
    """A program was run on examples of a split. Every axis, always; what it takes is a mean an example."""

    event: Literal["measured"] = "measured"
    program: str
    split: Split
    score: Measure
    calls: Amount
    tokens: Amount
    usd: Amount | None
    """None where a price is unknown."""
    seconds: Amount
    """Along the critical path, as stored with the responses."""
    spent: Count


class Noted(Record):
    """Something that explains the course of the search: a plateau, a restart, examples left out, how the meta
    model is asked, which models steps may have, why it stopped."""

    event: Literal["noted"] = "noted"
    about: Literal["plateau", "restart", "left out", "stopped", "start", "meta mode", "models"]
    text: str
    spent: Count


class CutShort(Record):
    """The planned calls did not allow what ran side by side: all of it was forgotten, and `calls` are the keys of those that were made."""

    event: Literal["cut short"] = "cut short"
    calls: Texts
    spent: Count


class Ended(Record):
    """The program that the run returns."""

    event: Literal["ended"] = "ended"
    program: str
    title: str
    source: Source
    stopped_by: str
    difference: Mapping[Literal["val", "test"], Difference | None]


Event: TypeAlias = Started | Feedback | Proposal | Verdict | Measured | Noted | CutShort | Ended


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="event")])


def dump(event: Event) -> dict[str, Any]:
    """The event as JSON data."""
    return event.model_dump(mode="json")


def load(data: Any, where: str) -> Event:
    """The event of JSON data. Types are strict, as of every `Record`.

    Args:
        data: what one line of a journal holds.
        where: how errors name it, such as the file and line.

    Raises:
        UserError: naming the member, what was found and what was expected.
    """
    try:
        return _adapter().validate_python(data)
    except ValidationError as error:
        member, found, expected = explain(error, lambda place, kind: place_text(place[1:], kind))  # without the class
        raise UserError(f"{where}: {member}" if member else where, found, expected) from None
