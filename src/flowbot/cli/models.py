"""`flowbot models`: which models there are, and what a model is able to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowbot.fields import InfrastructureError

from .console import Console
from .options import CacheDir, Output
from .text import complain

if TYPE_CHECKING:
    from flowbot.runtime.models import ModelList


def models(
    model: Annotated[str | None, Parameter(name="MODEL")] = None,
    /,
    *,
    cache_dir: CacheDir = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """List the models that can be used; with MODEL, ask it a few small questions and show what it and its endpoint can do.

    Parameters
    ----------
    model
        A model string, such as openai/gpt-4.1-mini. A local model is fetched if it is not there yet.
    """
    from flowbot.checks.models import endpoint_text, thinking
    from flowbot.runtime import models as known

    console = Console.open(output)
    if model is None:
        _list(known.models(cache_dir=cache_dir), console)
        return 0
    try:
        facts = known.models(model, cache_dir=cache_dir, say=lambda line: console.say(line, "soft")).dump()
    except InfrastructureError as error:
        console.json({"model": model, "ok": False, "error": str(error)})
        complain(str(error))
        return 1
    console.json(facts)
    console.result(f"{model} answers.", "good")
    console.row("Reply", f"{facts['reply']} ({facts['seconds']:g} s)")
    if facts["note"]:
        console.row("Note", facts["note"])
    if facts["capabilities"] is not None:
        console.row("Endpoint", endpoint_text(facts["capabilities"]))
    if facts["dropped"]:
        console.row("Left out", "; ".join(facts["dropped"]))
    if facts["thinking"]["room"]:
        console.row("Thinking", thinking(facts))
    console.row("Asked as", facts["asked_as"]["text"])
    console.row("Price", _price_text(facts["price"]))
    return 0


def _list(found: ModelList, console: Console) -> None:
    console.json(found.dump())
    here = [
        (
            each.model,
            f"{each.about}, {each.licence}, {each.bytes / 1e6:,.0f} MB, "
            + ("here" if each.on_disk else "fetched on first use"),
        )
        for each in found.local
    ]
    remote = [
        (
            f"{each.provider}/NAME",
            f"{each.base_url or f'the address in {each.base_variable}'} · "
            + ("key set" if each.key_set else f"needs {' or '.join(each.keys)}" if each.needs_key else "no key needed"),
        )
        for each in found.providers
    ]
    installed = [(f"{each.provider}/NAME", each.error or f"of {each.package}") for each in found.packages]
    groups = {
        "On this machine": [*here, ("local//path/to/file.gguf", "any other GGUF file")],
        "By an endpoint": remote,
        **({"By an installed package": installed} if installed else {}),
        "For tests": [
            ("fake/NAME", "a pretend model, deterministic, with latency and faults that can be set"),
            ("recorded/FILE.jsonl", "replies that were recorded"),
        ],
    }
    width = max(len(name) for rows in groups.values() for name, _ in rows)
    for number, (title, rows) in enumerate(groups.items()):
        if number:
            console.say()
        console.say(title, "title")
        console.rows(rows, width=width)
    if console.mode == "quiet":
        for name in (*(each.model for each in found.local), *(name for name, _ in (*remote, *installed))):
            console.result(name)


def _price_text(price: dict[str, float | None]) -> str:
    if price["input"] is None or price["output"] is None:
        return "unknown (--price IN,OUT gives one)"
    if not price["input"] and not price["output"]:
        return "nothing"
    return f"${price['input']:g} in, ${price['output']:g} out, per million tokens"
