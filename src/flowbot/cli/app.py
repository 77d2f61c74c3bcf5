"""The app: its verbs, and the way from an error to one line and an exit status."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from flowbot import __version__
from flowbot.fields import BudgetExceeded, DeniedError, FlowBotError, InfrastructureError, Paused, UserError

from .bench import bench
from .cache import cache
from .check import check
from .compare import compare
from .console import Console, OutputError, notices
from .demo import demo
from .diff import diff
from .env_file import env_file
from .eval import evaluate_flow
from .export import export
from .import_core import import_core
from .init import init
from .lift import lift
from .misuse import misuse
from .models import models
from .optimize import optimize
from .options import OWN
from .report import report
from .run import run_flow
from .runs import runs
from .serve import serve
from .show import show
from .starts import starts
from .streams import silence
from .text import command_line, complain
from .trace import trace
from .train_generator import train_generator
from .variables import Variables, of_environment
from .view import view

DONE, FAILED, WRONG_USE, PAUSED = 0, 1, 2, 3

_log = logging.getLogger(__name__)


def _version() -> str:
    return __version__


app = App(
    name="flowbot",
    help=(
        "Finds a better LLM workflow for your task: which calls, tools and code to use, how they are wired, "
        "and the prompt of each step. Begin with: flowbot demo"
    ),
    help_format="plaintext",
    version=_version,
    version_flags=("--version",),
    default_parameter=OWN,
    config=Variables(lambda: app),
    suppress_keyboard_interrupt=False,  # it would exit with a status of its own
)
for _order, (_verb, _name) in enumerate(
    (
        (demo, "demo"),
        (init, "init"),
        (optimize, "optimize"),
        (check, "check"),
        (run_flow, "run"),
        (trace, "trace"),
        (evaluate_flow, "eval"),
        (serve, "serve"),
        (show, "show"),
        (diff, "diff"),
        (compare, "compare"),
        (report, "report"),
        (runs, "runs"),
        (view, "view"),
        (export, "export"),
        (lift, "lift"),
        (train_generator, "train-generator"),
        (import_core, "import"),
        (bench, "bench"),
        (starts, "starts"),
        (models, "models"),
    )
):
    app.command(_verb, name=_name, sort_key=_order)
app.command(cache)


@app.command
def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(name="SHELL")], /) -> int:
    """Print what makes a shell complete verbs, options and choices. In bash and zsh: source <(flowbot completion bash)

    Parameters
    ----------
    shell
        The shell: in its start-up file, source <(flowbot completion zsh), or flowbot completion fish | source.
    """
    script = app.generate_completion(shell=shell).rstrip()
    if shell == "zsh":  # it takes the first line's word for it only from files in its search path
        script += "\n\ncompdef _cyclopts_flowbot flowbot"
    Console("plain").result(script)
    return DONE


def run(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit status; every error has become one line on standard error.

    Args:
        arguments: without the program's name.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a character shows a question mark; it must not end the run.
            stream.reconfigure(errors="replace")
    out = sys.stdout
    try:
        with env_file() as taken:
            notices[:] = [taken.notice] if taken.notice else []
            status = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        verb = next((name for name in arguments[:1] if name in app and not name.startswith("-")), "")
        fault = misuse(error, app)
        help_of = command_line("flowbot", *([verb] if verb else []), "--help")
        complain(f"{fault}{'' if fault.endswith('?') else '.'} See: {help_of}")
        return WRONG_USE
    except KeyboardInterrupt as error:
        complain(f"stopped ({str(error) or 'Ctrl-C'}); the same command goes on from what was stored")
        return PAUSED
    except (OutputError, BrokenPipeError) as error:
        # A reader that has left, as `head` does, is no fault. Nothing more can be written there, at exit neither.
        silence(out.fileno())
        if isinstance(error, OutputError) and not isinstance(error.__cause__, BrokenPipeError):
            complain(f"standard output: {error}; the same command says it again")
        return FAILED
    except Exception as error:
        _log.debug("where it happened", exc_info=True, extra={"event": "command.failed"})
        return explain(error, arguments)
    finally:
        sys.stdout = out
    return status if isinstance(status, int) else DONE


def explain(error: Exception, arguments: Sequence[str]) -> int:
    """Say an error in one line; returns the exit status that belongs to it."""

    if isinstance(error, DeniedError):
        complain(str(error))
        return FAILED
    if isinstance(error, Paused | InfrastructureError):
        stopped_by = error.stopped_by if isinstance(error, Paused) else "infrastructure"
        return paused(str(error), stopped_by, arguments)
    if isinstance(error, UserError):
        complain(f"{error}{of_environment(error)}")
        return WRONG_USE
    if isinstance(error, BudgetExceeded):
        complain(f"{error}. What was called is stored: with a higher ceiling the same command goes on from there")
        return FAILED
    if isinstance(error, FlowBotError):
        from flowbot.task import MetricError

        if isinstance(error, MetricError):
            return paused(str(error), "metric", arguments)
        complain(str(error))
        return FAILED
    if reason := shortage(error):
        return paused(reason, "infrastructure", arguments)
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror}")
        return FAILED
    complain(f"unexpected {type(error).__name__}: {error}. With --log-level debug it shows where")
    return FAILED


def shortage(error: Exception) -> str:
    """What the machine has too little of; empty if the error is another."""
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    match error:
        case OSError(errno=errno.EMFILE | errno.ENFILE):
            return f"{where}too many open files; `ulimit -n` raises the limit, --concurrency asks for fewer"
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EFBIG | errno.EIO | errno.EROFS | errno.EAGAIN):
            return f"{where}{error.strerror}"
        case OSError(errno=errno.ENOMEM) | MemoryError():
            return "there is no memory left"
        case RuntimeError() if "can't start new thread" in str(error):
            return "the system gives no more threads"
        case ImportError() if "cannot allocate" in str(error).lower() or "failed to map" in str(error):
            return "there is no memory left"
        case _:
            return ""


def paused(reason: str, stopped_by: str, arguments: Sequence[str]) -> int:
    """Say that the work is paused and how it goes on; returns the exit status for that."""
    _log.info("paused: %s", reason, extra={"event": "run.paused", "stopped_by": stopped_by})
    again = "run the same command again; no call is made twice"
    first = {"signal": "To go on,", "seconds": "To go on,", "metric": "Mend the metric, then", "batch": "To fetch it,"}
    mend = f"{first.get(stopped_by, 'When that is mended,')} {again}"
    complain(f"paused ({stopped_by}): {reason.rstrip('.')}. {mend}: {command_line('flowbot', *arguments)}")
    return PAUSED
