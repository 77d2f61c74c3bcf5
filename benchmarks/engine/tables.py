"""Tables in Markdown from the lines of the runs: medians, with the range where there are several repeats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median
from typing import Any

Line = dict[str, Any]
FLOOR = "aiohttp:calls"


def tables(lines: Sequence[Line]) -> str:
    """One table a part and load, for the parts that the lines hold."""
    shown: list[str] = []
    for part, make in _TABLES.items():
        of_part = [line for line in lines if line["part"] == part]
        if of_part:
            shown.append(make(of_part))
    failed = [
        f"- {line['part']}, {line['peer']}: {line['error'].splitlines()[-1]}" for line in lines if "error" in line
    ]
    if failed:
        shown.append("\n".join(["Failed:", "", *failed]))
    return "\n\n".join(shown)


def _throughput(lines: Sequence[Line]) -> str:
    shown: list[str] = []
    for (n, concurrency, latency), group in _groups(lines, "n", "concurrency", "latency"):
        ideal = 3 * n * latency / concurrency
        rows: list[list[str]] = []
        by_peer = dict(_groups(group, "peer"))
        floor = _middle(by_peer.get((FLOOR,), ()), "cpu_ms_per_call")
        for (peer,), runs in by_peer.items():
            cpu = _middle(runs, "cpu_ms_per_call")
            rows.append(
                [
                    peer,
                    _span(runs, "cpu_ms_per_call"),
                    f"{cpu / floor:.2f}" if floor and cpu else "",
                    _span(runs, "wall_s"),
                    f"{'over ' if runs[-1]['cut'] else ''}{_middle(runs, 'wall_s') / ideal:.2f}",
                    f"{_middle(runs, 'finished'):.0f}",
                    str(max(len(run["wrong"]) for run in runs)),
                    _span(runs, lambda run: run["server"]["peak"]),
                    _span(runs, lambda run: run["server"]["connections"]),
                    _span(runs, "peak_rss_mb"),
                    _span(runs, "load"),
                ]
            )
        title = f"### {n} examples, {concurrency} in flight, {latency * 1000:.0f} ms (ideal {ideal:.2f} s)"
        head = [
            "client",
            "CPU ms a call",
            f"over {FLOOR}",
            "wall s",
            "over ideal",
            "finished",
            "wrong",
            "peak in flight",
        ]
        shown.append(f"{title}\n\n{_table([*head, 'connections', 'peak RSS MB', 'load'], rows)}")
    return "\n\n".join(shown)


def _replay(lines: Sequence[Line]) -> str:
    rows = [
        [
            peer,
            str(3 * n),
            _span(runs, lambda run: 1000 * run["wall_s"] / _calls(run)),
            _span(runs, lambda run: _calls(run) / run["wall_s"]),
            _span(runs, lambda run: 1000 * run["cpu_s"] / _calls(run)),
            _span(runs, lambda run: run["server"]["requests"]),
            _span(runs, "peak_rss_mb"),
            _span(runs, "load"),
        ]
        for (peer, n), runs in _groups(lines, "peer", "n")
    ]
    head = ["client", "calls", "ms a call", "calls a second", "CPU ms a call", "requests sent", "peak RSS MB", "load"]
    kind = "Stored calls made again in a new process" if lines[0]["part"] == "replay" else "Storing them"
    return f"### {kind}\n\n{_table(head, rows)}"


def _storm(lines: Sequence[Line]) -> str:
    rows: list[list[str]] = []
    for (peer, n, concurrency, latency), group in _groups(lines, "peer", "n", "concurrency", "latency"):
        calm = {line["seed"]: line for line in group if not line["faults"]}
        for bad in (line for line in group if line["faults"] and line["seed"] in calm):
            clean = calm[bad["seed"]]
            server, spent = bad["server"], bad.get("spent", {})
            told = server["usage"]
            unpaid = sum(told.values()) - sum(spent.get(name, 0) for name in told)
            rows.append(
                [
                    peer,
                    f"{n} at {concurrency}, {latency * 1000:.0f} ms",
                    "at once" if "429 at once" in bad["faults"] else "as late as answers",
                    f"{clean['wall_s']:.1f}",
                    f"{bad['wall_s']:.1f}",
                    f"{bad['wall_s'] / clean['wall_s']:.2f}",
                    str(bad["lost"]),
                    str(len(set(bad["wrong"]) ^ set(clean["wrong"]))),
                    str(len(bad.get("pauses", ()))),
                    str(sum(server["faults"].values())),
                    str(server["requests"]),
                    str(unpaid),
                    f"{bad['load']:.1f}",
                ]
            )
    head = [
        "client",
        "load",
        "refusals come",
        "wall s, no faults",
        "wall s, storm",
        "ratio",
        "lost",
        "scored otherwise",
        "pauses",
    ]
    head += ["faults met", "requests", "tokens told but not in the ledger", "machine load"]
    return f"### Fault storm\n\n{_table(head, rows)}"


def _memory(lines: Sequence[Line]) -> str:
    rows = [
        [
            peer,
            str(n),
            _span(runs, "rss_before_mb"),
            _span(runs, "peak_rss_mb"),
            _span(runs, "cpu_ms_per_call"),
            _span(runs, lambda run: _calls(run) / run["wall_s"]),
        ]
        for (peer, n), runs in _groups(lines, "peer", "n")
    ]
    head = ["client", "examples", "RSS MB before", "peak RSS MB", "CPU ms a call", "calls a second"]
    return f"### Memory\n\n{_table(head, rows)}"


_TABLES: dict[str, Callable[[Sequence[Line]], str]] = {
    "throughput": _throughput,
    "populate": _replay,
    "replay": _replay,
    "storm": _storm,
    "memory": _memory,
}


def _calls(run: Line) -> int:
    return 3 * run["finished"]


def _groups(lines: Iterable[Line], *keys: str) -> list[tuple[tuple[Any, ...], list[Line]]]:
    """The lines that are no failures, by the values of some keys, in the order in which these first came."""
    found: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        if "error" not in line:
            found.setdefault(tuple(line[key] for key in keys), []).append(line)
    return list(found.items())


def _values(runs: Iterable[Line], of: str | Callable[[Line], float]) -> list[float]:
    return [float(run[of] if isinstance(of, str) else of(run)) for run in runs]


def _middle(runs: Iterable[Line], of: str | Callable[[Line], float]) -> float:
    values = _values(runs, of)
    return median(values) if values else 0.0


def _span(runs: Iterable[Line], of: str | Callable[[Line], float]) -> str:
    values = _values(runs, of)
    middle, low, high = _number(median(values)), _number(min(values)), _number(max(values))
    return middle if low == high else f"{middle} [{low}-{high}]"


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    marks = ["---"] * len(head)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, marks, *rows))
