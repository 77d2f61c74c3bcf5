"""The app: its verbs, and the way from an error to one line and an exit status."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

from cyclopts import App, CycloptsError

from .cache import cache
from .check import check
from .compare import compare
from .console import command_line, complain, news
from .demo import demo
from .diff import diff
from .env_file import env_file
from .eval import evaluate_flow
from .init import init
from .models import models
from .optimize import optimize
from .report import report
from .run import run_flow
from .show import show
from .starts import starts

DONE, FAILED, WRONG_USE, PAUSED = 0, 1, 2, 3

_log = logging.getLogger(__name__)


def _version() -> str:
    from flowbot import __version__

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
    suppress_keyboard_interrupt=False,  # it would exit with a status of its own
)
for _order, (_verb, _name) in enumerate(
    (
        (demo, "demo"),
        (init, "init"),
        (optimize, "optimize"),
        (check, "check"),
        (run_flow, "run"),
        (evaluate_flow, "eval"),
        (show, "show"),
        (diff, "diff"),
        (compare, "compare"),
        (report, "report"),
        (starts, "starts"),
        (models, "models"),
    )
):
    app.command(_verb, name=_name, sort_key=_order)
app.command(cache)


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
            news[:] = [taken.news] if taken.news else []
            status = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
            out.flush()
    except CycloptsError as error:
        verb = next((name for name in arguments[:1] if name in app and not name.startswith("-")), "")
        complain(f"{error}".rstrip(".") + f". See: {command_line('flowbot', *([verb] if verb else []), '--help')}")
        return WRONG_USE
    except BrokenPipeError:
        # The reader of our output has left, as `head` does. Nothing more can be said there, at exit neither.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return FAILED
    except KeyboardInterrupt as error:
        complain(f"stopped ({str(error) or 'Ctrl-C'}); the same command goes on from what was stored")
        return PAUSED
    except Exception as error:
        _log.debug("where it happened", exc_info=True, extra={"event": "command.failed"})
        return explain(error, arguments)
    finally:
        sys.stdout = out
    return status if isinstance(status, int) else DONE


def explain(error: Exception, arguments: Sequence[str]) -> int:
    """Say an error in one line; returns the exit status that belongs to it."""
    from flowbot.fields import BudgetExceeded, FlowBotError, InfrastructureError, Paused, UserError

    if isinstance(error, Paused | InfrastructureError):
        stopped_by = error.stopped_by if isinstance(error, Paused) else "infrastructure"
        return paused(str(error), stopped_by, arguments)
    if isinstance(error, UserError):
        complain(str(error))
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
    if isinstance(error, OSError) and error.strerror:
        where = f"{error.filename}: " if error.filename else ""
        complain(f"{where}{error.strerror}")
        return FAILED
    complain(f"unexpected {type(error).__name__}: {error}. With --log-level debug it shows where")
    return FAILED


def paused(reason: str, stopped_by: str, arguments: Sequence[str]) -> int:
    """Say that the work is paused and how it goes on; returns the exit status for that."""
    _log.info("paused: %s", reason, extra={"event": "run.paused", "stopped_by": stopped_by})
    again = "run the same command again; no call is made twice"
    first = {"signal": "To go on,", "seconds": "To go on,", "metric": "Mend the metric, then"}
    mend = f"{first.get(stopped_by, 'When that is mended,')} {again}"
    complain(f"paused ({stopped_by}): {reason.rstrip('.')}. {mend}: {command_line('flowbot', *arguments)}")
    return PAUSED
