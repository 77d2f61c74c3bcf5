"""The options that several verbs share. Each is named once, here, and means the same everywhere."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter, Token

if TYPE_CHECKING:
    from flowbot.lm.budget import Budget
    from flowbot.lm.pace import Pace
    from flowbot.lm.prices import Price as ModelPrices
    from flowbot.lm.stop import StopSignal
    from flowbot.optimizer.effort import Effort
    from flowbot.runtime.settings import WorkbenchSettings

OWN = Parameter(show_env_var=False)
"""Of options that are a verb's own: none has an environment variable."""
_SHARED = Parameter(show_env_var=True)
"""Of options that mean the same everywhere, which stand in a group of their own: each has an environment variable, see
`variables`. A group says so and not the options: two annotations that differ in what is a default are one to `typing`."""
SEARCH = Group("Search", sort_key=2, default_parameter=_SHARED)
MODELS = Group("Models", sort_key=3, default_parameter=_SHARED)
CEILINGS = Group("Ceilings", sort_key=4, default_parameter=_SHARED)
TOOLS = Group("Tools", sort_key=5, default_parameter=_SHARED)
PLACES = Group("Places", sort_key=6, default_parameter=_SHARED)
OUTPUT = Group("Output", sort_key=7, default_parameter=_SHARED)

MODEL = Parameter(name=("--model", "-m"), group=MODELS)
OUT = Parameter(name=("--out", "-o"), group=PLACES, negative=(), show_env_var=False)
FORCE = Parameter(group=PLACES, negative=(), show_default=False)
ALLOW_WRITES = Parameter(group=TOOLS, negative=(), show_default=False)

# Options and arguments that mean the same in several verbs.
FlowFile = Annotated[Path, Parameter(name="FLOW", negative=(), help="The workflow's file, or a run's folder or name.")]
TaskFile = Annotated[Path, Parameter(name="TASK", negative=(), help="The task's file.")]
RunFolder = Annotated[Path, Parameter(name="RUN", negative=(), help="The run's folder, or its name in runs/.")]
_OF_STEPS = "Model of the steps that name no other, such as openai/gpt-4.1-mini or local/qwen2.5-coder-0.5b."
StepsModel = Annotated[str | None, Parameter(name=("--model", "-m"), group=MODELS, help=_OF_STEPS)]
_OF_JUDGES = (
    "Model of the metric's judge, where it has one that names none; the meta model, else the task model, otherwise."
)
JudgeModel = Annotated[str | None, Parameter(group=MODELS, help=_OF_JUDGES)]
_LISTED = (
    "A,B: models that steps and judges of files may name beside those of the options, and that a search may give to steps; a "
    "file alone calls none."
)
ListedModels = Annotated[str | None, Parameter(group=MODELS, show_default=False, help=_LISTED)]
_PER_MILLION = (
    "IN,OUT: US dollars per million input and output tokens, where a model's price is not known; of several models "
    "MODEL=IN,OUT;MODEL=IN,OUT."
)
Price = Annotated[str | None, Parameter(group=MODELS, help=_PER_MILLION)]
_SANDBOX = (
    "Where code runs: monty (a Python without classes and most modules), or bubblewrap (all of CPython, confined by the "
    "system; Linux); the first that can be had otherwise."
)
_EXECUTOR = (
    "Where metrics, tools and programs of your own run: loop (in this process, metrics one at a time), processes (in worker "
    "processes, as many side by side as there are processors), or a cluster: ray, ray://HOST:PORT, dask://HOST:PORT."
)
_CACHE = "Folder of stored responses, local models and search indexes; the user's cache folder otherwise."
CacheDir = Annotated[Path | None, Parameter(group=PLACES, help=_CACHE)]

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["text", "json"]


def whole(_: object, tokens: Sequence[Token]) -> int:
    """A whole number as people write it; cyclopts itself would take 1.5 for 1.

    Raises:
        ValueError: for anything else.
    """
    text = tokens[0].value
    if not re.fullmatch(r"[-+]?[0-9]{1,300}", text):
        raise ValueError(f"found {text[:60]!r}; expected a whole number")
    return int(text)


PORT = Parameter(negative=(), converter=whole, show_env_var=True)


def require_new(file: Path, *, force: bool) -> None:
    """Refuse to replace a file unless `--force` says so.

    Raises:
        UserError: naming it.
    """
    if not force and (file.exists() or file.is_symlink()):
        from flowbot.fields import UserError

        raise UserError(str(file), "something there already", "a new file; or --force, which replaces it")


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Output:
    """How a verb speaks."""

    json: Annotated[bool, Parameter(group=OUTPUT, negative=(), show_default=False)] = False
    """Print one JSON object for programs, and nothing else on standard output."""
    quiet: Annotated[bool, Parameter(name=("--quiet", "-q"), group=OUTPUT, negative=(), show_default=False)] = False
    """Print the result alone: no progress, no explanation."""
    log_level: Annotated[LogLevel, Parameter(group=OUTPUT)] = "warning"
    """Least serious log lines to show on standard error; debug also shows tracebacks."""
    log_format: Annotated[LogFormat, Parameter(group=OUTPUT)] = "text"
    """How log lines are written: text, or one JSON object each."""
    log_file: Annotated[Path | None, Parameter(group=OUTPUT, show_default=False)] = None
    """File that log lines are added to, instead of standard error."""


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class Calls:
    """How models are called, and how often at most."""

    models: ListedModels = None
    concurrency: Annotated[int | None, Parameter(group=MODELS, converter=whole)] = None
    """Calls in flight at most; otherwise as many as the endpoint bears, from its own default upwards."""
    requests_per_minute: Annotated[float | None, Parameter(group=MODELS)] = None
    """Calls sent to an endpoint in a minute at most."""
    tokens_per_minute: Annotated[float | None, Parameter(group=MODELS)] = None
    """Tokens read and written by an endpoint in a minute at most."""
    hedge: Annotated[bool, Parameter(group=MODELS, negative=(), show_default=False)] = False
    """Send a call that takes much longer than its like a second time and take the first answer; both are paid for."""
    batch: Annotated[bool, Parameter(group=MODELS, negative=(), show_default=False)] = False
    """Run and score examples through the models' batch endpoints: at half the price, and later. The command ends (exit status 3) once a
    batch is submitted, and the same command fetches it."""
    wait: Annotated[bool, Parameter(group=MODELS, negative=(), show_default=False)] = False
    """With --batch: wait for it."""
    batch_from: Annotated[int, Parameter(group=MODELS, converter=whole)] = 20
    """With --batch: calls that a batch has at least; fewer are made at once."""
    sandbox: Annotated[
        Literal["monty", "bubblewrap"] | None, Parameter(group=MODELS, show_default=False, help=_SANDBOX)
    ] = None
    executor: Annotated[str, Parameter(group=MODELS, help=_EXECUTOR)] = "loop"
    price: Price = None
    max_calls: Annotated[int | None, Parameter(group=CEILINGS, converter=whole)] = None
    """Model calls."""
    max_tokens: Annotated[int | None, Parameter(group=CEILINGS, converter=whole)] = None
    """Input and output tokens together."""
    max_usd: Annotated[float | None, Parameter(group=CEILINGS)] = None
    """US dollars."""
    max_seconds: Annotated[float | None, Parameter(group=CEILINGS)] = None
    """Seconds; the run then pauses, and the same command goes on."""
    max_reply_tokens: Annotated[int | None, Parameter(group=CEILINGS, converter=whole)] = None
    """What a call of your own program that names no limit reserves for its reply; the model's context, 128,000 at most, otherwise."""
    cache_dir: CacheDir = None
    dry_run: Annotated[bool, Parameter(group=OUTPUT, negative=(), show_default=False)] = False
    """Say what would be done and what it would take; call no model."""

    def listed(self) -> list[str]:
        """The models of `--models`."""
        return listed_models(self.models)

    def budget(self) -> Budget:
        """The ceilings.

        Raises:
            UserError: if one is not a positive number.
        """
        from flowbot.fields.numbers import require_above_0
        from flowbot.lm.budget import Budget

        for name in (
            "max_calls",
            "max_tokens",
            "max_usd",
            "max_seconds",
            "concurrency",
            "requests_per_minute",
            "tokens_per_minute",
            "batch_from",
            "max_reply_tokens",
        ):
            require_above_0(getattr(self, name), f"--{name.replace('_', '-')}")
        return Budget(calls=self.max_calls, tokens=self.max_tokens, usd=self.max_usd, seconds=self.max_seconds)

    def pace(self) -> Pace:
        """How fast endpoints may be called."""
        from flowbot.lm.pace import Pace

        limits = (self.concurrency, self.requests_per_minute, self.tokens_per_minute)
        return Pace(*limits, self.hedge, self.batch, self.wait, self.batch_from)

    def settings(self, stop: StopSignal) -> WorkbenchSettings:
        """Ceilings, and how and where calls are made, as `fb.optimize` and the workbench take them."""
        return {
            "budget": self.budget(),
            "cache_dir": self.cache_dir,
            "pace": self.pace(),
            "price": self.prices(),
            "sandbox": self.sandbox,
            "executor": self.executor,
            "max_reply_tokens": self.max_reply_tokens,
            "stop": stop,
        }

    def prices(self) -> ModelPrices | None:
        """The user's own prices, per million input and output tokens.

        Raises:
            UserError: if it is not IN,OUT, or such prices by model.
        """
        from flowbot.lm.prices import parse_price

        return None if self.price is None else parse_price(self.price)


def listed_models(option: str | None, of: str = "models") -> list[str]:
    """The models of a `--models A,B`, or the names of another such list.

    Raises:
        UserError: where commas are all that it holds.
    """
    from flowbot.fields import UserError

    names = [name for each in (option or "").split(",") if (name := each.strip())]
    if option and option.strip() and not names:
        raise UserError(of, repr(option), "names, with commas between them")
    return names


@Parameter(name="*")
@dataclass(frozen=True, slots=True)
class SearchOptions:
    """How a search goes."""

    method: Annotated[str, Parameter(group=SEARCH)] = "flowbot+blame"
    """OUTER[+INNER]; outer: flowbot, paper, aflow, autoflow, autoflow-words, random, none; inner: blame, layerwise, autodiff, textgrad, gepa, mipro, none."""
    effort: Annotated[str | None, Parameter(group=SEARCH, show_default=False)] = None
    """Planned search calls, no ceiling: low (200), medium (500, the default), high (2000), or a whole number."""
    seed: Annotated[int, Parameter(group=SEARCH, converter=whole)] = 0
    """Seed of every random choice."""
    meta_mode: Annotated[Literal["auto", "small", "large"], Parameter(group=SEARCH)] = "auto"
    """How the meta model is asked: small, for one short decision at a time; large, for several proposals at once; auto, as it is able, by
    a few small questions."""
    feedback: Annotated[Literal["real", "shuffled", "blind"], Parameter(group=SEARCH)] = "real"
    """What the meta model is told of a mistake: real, what was expected; the controls that show what that is worth: shuffled, the same of
    another mistake; blind, nothing."""
    order: Annotated[Literal["free", "prompts-first", "alternate"], Parameter(group=SEARCH)] = "free"
    """Which changes are tried first: free, those of which most is believed; prompts-first, those of prompts and settings, and of the structure
    once some have failed or a diagnosis says that no prompt can mend it; alternate, both in turn."""
    objective: Annotated[str, Parameter(group=SEARCH)] = "score"
    """What is better: score, by which a further call must gain a point; cost or latency, the cheapest or fastest within three points of
    the best; or weights as score=1,usd=0.2 (usd a thousand examples; tokens in thousands, calls, seconds an example)."""
    max_calls_per_example: Annotated[int | None, Parameter(group=SEARCH, converter=whole)] = None
    """Model calls an example, at most, of any workflow that is tried."""
    max_nodes: Annotated[int | None, Parameter(group=SEARCH, converter=whole)] = None
    """Its steps at most, those in bodies included."""
    max_latency: Annotated[float | None, Parameter(group=SEARCH)] = None
    """Seconds an example at most, on average along its longest chain of calls: a workflow that is slower is dropped."""
    freeze: Annotated[list[str] | None, Parameter(group=SEARCH, negative=(), show_default=False)] = None
    """A step of the start that nothing changes, by path; once for each, or A,B."""
    name: Annotated[str | None, Parameter(group=PLACES)] = None
    """What the run is called, and its folder in runs/: wherever a run or a workflow is named, this name will do."""
    run_dir: Annotated[Path | None, Parameter(group=PLACES)] = None
    """Folder of the run's journal, results and report; runs/TASK-HASH, or runs/NAME with --name, otherwise."""
    allow_writes: Annotated[bool, ALLOW_WRITES] = False
    """Call tools that write for real, thousands of times; without it they need a stand-in (`simulate:`)."""
    fresh: Annotated[bool, Parameter(group=PLACES, negative=(), show_default=False)] = False
    """Begin anew: an earlier run of the same name is moved aside."""

    def settings(self) -> dict[str, Any]:
        """As `fb.optimize` takes them, but for the effort."""
        given = {**asdict(self), "freeze": self.frozen()}
        del given["effort"]
        return given

    def frozen(self) -> list[str]:
        """The steps of `--freeze`."""
        return [step for each in self.freeze or () for step in listed_models(each, "freeze")]

    def effort_or(self, default: Effort) -> Effort:
        """The effort, or what a verb tries by itself.

        Raises:
            UserError: if it is none.
        """
        from flowbot.optimizer.effort import parse_effort

        return default if self.effort is None else parse_effort(self.effort, "--effort")
