"""`flowbot report`: a run as one page to open, send or print."""

from __future__ import annotations

from .console import Console
from .options import Output, RunFolder


def report(
    run: RunFolder,
    /,
    *,
    output: Output = Output(),  # noqa: B008
) -> int:
    """Write the report of a run: one HTML file that needs no network."""
    from flowbot.report.report import write_report
    from flowbot.run.folders import run_folder
    from flowbot.run.view import read_run

    console = Console.open(output)
    folder = run_folder(run)
    view = read_run(folder)
    path = write_report(folder)
    console.json({"report": str(path), "run_dir": str(folder), "status": view.status})
    console.paragraph(view.verdict)
    console.result(str(path), "accent")
    return 0
