"""The pages as text, from the report's fragments and some of their own. All that comes from runs is escaped, and secrets are masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from flowbot.fields import UserError
from flowbot.fields.secrets import hide_text
from flowbot.optimizer.progress import PHASES
from flowbot.report import commands
from flowbot.report.figures import settings, tiles
from flowbot.report.report import templates
from flowbot.report.show import SPLITS
from flowbot.report.story import in_short, stopped
from flowbot.run.changes import by_text
from flowbot.run.comparisons import compare
from flowbot.run.examples import OUTCOMES, has_examples
from flowbot.run.heartbeat import pause_asked
from flowbot.run.listed_examples import example_at
from flowbot.run.listing import RunSummary

from .desk import Desk
from .now import STANDING, left, now_tiles, pairs_of, tried_now
from .search import compared, course

if TYPE_CHECKING:
    import jinja2

PAGE = 30
"""Changes or examples on a page."""
LATEST = 12
"""Comparisons that a chart shows."""
MOST_COMPARED = 12
"""Runs that are compared at once: all of each is read."""
Query = Mapping[str, str]
SORTS: dict[str, tuple[str, Callable[[RunSummary], Any]]] = {
    "run": ("Run", lambda run: run.name),
    "status": ("Status", lambda run: list(STANDING).index(run.status)),
    "score": ("Score", lambda run: 1.0 if (best := _best(run)) is None else -best),
    "calls": ("Calls", lambda run: -run.calls),
    "paid": ("Paid", lambda run: -(run.spent.usd or 0.0)),
    "age": ("Age", lambda run: -run.changed),
}
"""By what the runs are sorted: the column, and what of a run; the natural end first."""


class Pages:
    """The pages over a desk's runs. Every method gives a page as text, and raises `UserError` for what is not there or damaged.

    Args:
        desk: what they read.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def runs(self, query: Query) -> str:
        """All runs, as `sort` and `back` say."""
        sort = query.get("sort", "age") if query.get("sort") in SORTS else "age"
        found = sorted(self._desk.runs(), key=lambda run: (SORTS[sort][1](run), run.name), reverse="back" in query)
        folders = [run.run_dir for run in found]
        facts: dict[str, Any] = {
            "runs": found,
            "sort": sort,
            "back": "back" in query,
            "sorts": SORTS,
            "folder": self._desk.folder,
        }
        return self._page("runs", self._follow("", self._desk.state(folders)), best=_best, **facts)

    def run(self, name: str, query: Query, token: str) -> str:
        """One run: where it stands, its course, what was tried. `to` is the number of the last change shown, `only` their outcome."""
        run_dir = self._desk.find(name)
        state, summary, view = self._desk.state([run_dir]), self._desk.summary(run_dir), self._desk.view(run_dir)
        running = summary.status == "running"
        wanted = [each for each in view.changes if query.get("only") in (None, each.outcome)]
        to = min(_number(query.get("to"), len(wanted)), len(wanted))
        facts: dict[str, Any] = {
            "summary": summary, "run": view, "running": running, "token": token, "phases": PHASES, "left": left(summary.heard),
            "tiles": now_tiles(view, summary) if running else [(*tile, None) for tile in tiles(view)],
            "stopped": summary.reason if summary.status == "damaged" else "" if running else stopped(view), "again": commands.again(view), "facts": settings(view),
            "course": course(view), "compared": compared(view)[-LATEST:], "now": tried_now(view) if running else (), "pairs_of": partial(pairs_of, summary.heard),
            "in_short": in_short(view), "changes": wanted[max(0, to - PAGE) : to][::-1], "to": to, "only": query.get("only"),
            "total": len(wanted), "page": PAGE, "came_of": Counter(each.outcome for each in view.changes),
            "listed": has_examples(run_dir), "pausing": pause_asked(run_dir),
        }  # fmt: skip
        return self._page("run", self._follow(name, state), name=name, **facts)

    def change(self, name: str, which: str) -> str:
        """One change: why, what it changed, what came of it."""
        view = self._desk.view(self._desk.find(name))
        found = next((each for each in view.changes if each.id == which), None)
        if found is None:
            raise UserError(name, f"no change {which!r:.60}", "one that the run proposed")
        return self._page("change", name=name, run=view, change=found)

    def examples(self, name: str, query: Query) -> str:
        """The examples of a run, those of the outcome `only`, from number `at` on."""
        run_dir = self._desk.find(name)
        listed = self._desk.examples(run_dir)
        order = {each: place for place, each in enumerate(OUTCOMES)}
        wanted = [each for each in listed if query.get("only") in (None, each.outcome)]
        wanted.sort(key=lambda each: (order[each.outcome], SPLITS.index(each.split)))
        at = min(_number(query.get("at"), 0), len(wanted))
        known = sorted(Counter(each.outcome for each in listed).items(), key=lambda each: order[each[0]])
        facts: dict[str, Any] = {
            "rows": wanted[at : at + PAGE],
            "at": at,
            "total": len(wanted),
            "page": PAGE,
            "known": known,
        }
        return self._page("rows", name=name, run=self._desk.view(run_dir), only=query.get("only"), **facts)

    def example(self, name: str, which: str) -> str:
        """One example with the traces of all workflows that are recorded, and the gradients on it."""
        run_dir = self._desk.find(name)
        view = self._desk.view(run_dir)
        listed = next((each for each in self._desk.examples(run_dir) if each.id == which), None)
        if listed is None:
            raise UserError(name, f"no example {which!r:.60}", "one that the run has recorded")
        found = example_at(run_dir, listed.place)
        others = [(view.names.get(program, program[:12]), side) for program, side in found.candidates.items()]
        sides = [("Start", found.start), ("Found", None if view.unchanged else found.final), *others]
        said = by_text(each for each in view.feedback if each.example == which)
        return self._page("row", name=name, run=view, example=found, sides=sides, said=said)

    def compare(self, names: Sequence[str], split: str) -> str:
        """Runs side by side, on validation or test."""
        if len(names) > MOST_COMPARED:
            raise UserError("compare", f"{len(names)} runs", f"{MOST_COMPARED} at most")
        comparison = compare(*map(self._desk.find, dict.fromkeys(names)), split="val" if split == "val" else "test")
        return self._page("sides", comparison=comparison, names=names)

    def failed(self, error: UserError) -> str:
        """Why there is no such page."""
        return self._page("failed", error=str(error))

    def _follow(self, name: str, state: str) -> str:
        return f"/events/{quote(name)}?seen={state}"

    def _page(self, template: str, follow: str = "", **facts: Any) -> str:
        made = _templates().get_template(f"{template}.jinja").render(follow=follow, name_of=self._desk.name, **facts)
        return hide_text(made)


@cache
def _templates() -> jinja2.Environment:
    import jinja2

    own = templates()
    made = own.overlay(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("flowbot.view", "page"), *filter(None, [own.loader])])
    )
    known: Any = {**own.globals, "STANDING": STANDING}
    made.globals = known
    return made


@cache
def source(*names: str) -> str:
    """Style sheets or scripts of the pages, as they are."""
    loader = _templates().loader
    return "\n".join(loader.get_source(_templates(), name)[0] for name in names) if loader is not None else ""


def _best(run: RunSummary) -> float | None:
    return run.final_score.mean if run.final_score else run.best


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 10 else otherwise
