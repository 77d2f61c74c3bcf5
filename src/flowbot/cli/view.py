"""`flowbot view`: one live page over all runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from .console import Console
from .options import PORT, Output

USUAL_PORT = 8488


def view(
    runs: Annotated[Path, Parameter(name="RUNS", show_default=False)] = Path("runs"),
    /,
    *,
    port: Annotated[int, PORT] = USUAL_PORT,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Show runs on a page that follows them while they work, for this machine alone. It asks no model; needs the extra [serve].

    Parameters
    ----------
    runs
        Folder of the runs, also in folders of their own, or one run's folder; runs/ otherwise.
    port
        Port of the page on this machine's loopback address; 0 takes one that is free.
    """
    import asyncio

    from flowbot.web.extra import require_extra

    require_extra("flowbot view", "serve", "starlette", "uvicorn")

    from flowbot.view.app import view_app
    from flowbot.web.server import WebServer, listening, url_of

    console = Console.open(output)
    app = view_app(runs, closing=lambda: server.should_exit)
    with listening(port=port) as listener:
        url = url_of(listener)

        def ready() -> None:
            console.json({"url": url, "runs": str(runs)})
            console.result(url, "accent")
            console.say("Ctrl-C ends it.", "soft")

        server = WebServer(app, listener, drain=5, ready=ready)
        asyncio.run(server.run_here())
    return 0
