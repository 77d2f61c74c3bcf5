"""`flowbot models`: which models there are, and what a model is able to do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from .check_model import endpoint_text, thinking
from .console import Console
from .options import PLACES, Output


def models(
    model: Annotated[str | None, Parameter(name="MODEL")] = None,
    /,
    *,
    cache_dir: Annotated[Path | None, Parameter(group=PLACES)] = None,
    output: Output = Output(),  # noqa: B008
) -> int:
    """List the models that can be used; with MODEL, ask it one small question and show what its endpoint can do.

    Parameters
    ----------
    model
        A model string, such as openai/gpt-4.1-mini. A local model is fetched if it is not there yet.
    cache_dir
        Folder of stored responses and local models; the user's cache folder otherwise.
    """
    from flowbot.store import default_cache_dir

    console = Console.open(output)
    cache = cache_dir or default_cache_dir()
    if model is None:
        _list(cache, console)
        return 0
    import asyncio

    from flowbot.fields import InfrastructureError

    try:
        facts = asyncio.run(_probe(model, cache, console))
    except InfrastructureError as error:
        from .text import complain

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
    console.row("Price", _price_text(facts["price"]))
    return 0


def _list(cache: Path, console: Console) -> None:
    import os

    from flowbot.lm.local.weights import catalogue, on_disk
    from flowbot.lm.providers import PROVIDERS

    local: list[dict[str, Any]] = [
        {
            "model": f"local/{name}",
            "about": each.about,
            "licence": each.licence,
            "bytes": each.bytes,
            "on_disk": on_disk(each, cache) is not None,
        }
        for name, each in catalogue().items()
    ]
    providers: list[dict[str, Any]] = [
        {
            "provider": name,
            "base_url": each.base_url or None,
            "base_variable": each.base_variable or None,
            "keys": each.keys,
            "needs_key": each.needs_key,
            "key_set": any(os.environ.get(key) for key in each.keys),
        }
        for name, each in PROVIDERS.items()
    ]
    packages = _of_packages()
    console.json({"local": local, "providers": providers, "packages": packages})
    here = [
        (
            each["model"],
            f"{each['about']}, {each['licence']}, {each['bytes'] / 1e6:,.0f} MB, "
            + ("here" if each["on_disk"] else "fetched on first use"),
        )
        for each in local
    ]
    remote = [
        (
            f"{each['provider']}/NAME",
            f"{each['base_url'] or 'the address in ' + each['base_variable']} · "
            + (
                "key set"
                if each["key_set"]
                else f"needs {' or '.join(each['keys'])}"
                if each["needs_key"]
                else "no key needed"
            ),
        )
        for each in providers
    ]
    installed = [(f"{each['provider']}/NAME", each["error"] or f"of {each['package']}") for each in packages]
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
        for name in (*(each["model"] for each in local), *(name for name, _ in (*remote, *installed))):
            console.result(name)


def _of_packages() -> list[dict[str, Any]]:
    """The providers that installed packages offer; nothing of theirs is imported."""
    from flowbot.fields import UserError
    from flowbot.fields.plugins import find_plugin, plugin_names
    from flowbot.lm.providers import OWN, PROVIDERS

    found: list[dict[str, Any]] = []
    for name in plugin_names("models"):
        if name in OWN or name in PROVIDERS:  # FlowBot's own win
            continue
        package, error = None, None
        try:
            plugin = find_plugin("models", name)
            package = plugin.package if plugin is not None else None
        except UserError as fault:
            error = str(fault)
        found.append({"provider": name, "package": package, "error": error})
    return found


async def _probe(model: str, cache: Path, console: Console) -> dict[str, Any]:
    from flowbot.runtime.probe import probe
    from flowbot.runtime.workbench import Workbench

    async with Workbench(cache_dir=cache) as bench:
        found = await probe(model, bench.session(), cache_dir=cache, say=lambda line: console.say(line, "soft"))
    return found.dump()


def _price_text(price: dict[str, float | None]) -> str:
    if price["input"] is None or price["output"] is None:
        return "unknown (--price IN,OUT gives one)"
    if not price["input"] and not price["output"]:
        return "nothing"
    return f"${price['input']:g} in, ${price['output']:g} out, per million tokens"
