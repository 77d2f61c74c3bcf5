"""A peer's Python packages: a virtual environment of its own in the cache folder, made once and used by every cell."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from flowbot.fields import stable_hash
from flowbot.fields.files import open_own, read_text, write_text
from flowbot.fields.locks import locked
from flowbot.lm.stop import StopSignal

from .peer_command import PeerError, plain_environment, run_command

MOST_REQUIREMENTS = 1_000_000
"""Bytes of the largest requirements file."""
_LOOK_SECONDS = 0.5
_MAKE_SECONDS = 3600.0
_PIP = ("HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
INSTALLED = "installed.txt"
"""What an environment holds, as `pip freeze` says; it is there when the environment is complete."""


async def make_environment(
    requirements: Path | None, cache_dir: Path, *, stop: StopSignal, say: Callable[[str], None]
) -> Path:
    """The virtual environment of a requirements file, in `CACHE/peers/HASH`; made where it is not there yet.

    The hash is over the file's text and this Python, so that an environment is made anew where either changes. One process
    makes it and others wait; one that was not completed is made again.

    Args:
        requirements: as pip reads it; None for Python alone.
        cache_dir: the cache folder.
        stop: ends it.
        say: told when it is made, which may take minutes.

    Returns:
        Its folder; its programs are in `bin`.

    Raises:
        PeerError: if it cannot be made, with the last words of pip.
        UserError: if the requirements cannot be read.
        Paused: if somebody asked to stop.
    """
    text = "" if requirements is None else read_text(requirements, limit=MOST_REQUIREMENTS)
    folder = _folder(text, cache_dir)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open_own(folder.with_suffix(".lock"), "a") as lock:
        while True:
            with locked(lock.fileno()) as ours:
                if ours:
                    if not (folder / INSTALLED).is_file():
                        await _make(folder, requirements, stop=stop, say=say)
                    return folder
            await stop.unless(asyncio.sleep(_LOOK_SECONDS))


def _folder(text: str, cache_dir: Path) -> Path:
    """Where the environment of a requirements file's text is. Commands run elsewhere, so that it has to be absolute."""
    key = stable_hash({"requirements": text, "python": [sys.version, sys.base_prefix]})[:16]
    return cache_dir.resolve() / "peers" / key


async def _make(folder: Path, requirements: Path | None, *, stop: StopSignal, say: Callable[[str], None]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    place = folder.parent if requirements is None else requirements.parent
    env = plain_environment(*_PIP, *_CERTIFICATES, *(name for name in os.environ if name.startswith("PIP_")))

    async def run(*command: str) -> str:
        ended = await run_command(command, env=env, folder=place, seconds=_MAKE_SECONDS, stop=stop)
        if ended.status != 0:
            why = "it took too long" if ended.status is None else ended.last_words
            raise PeerError(f"{requirements or 'an environment'}: cannot be installed: {why}")
        return ended.log

    installed = ""
    if requirements is None:
        await run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    else:
        say(f"installing {requirements.name} in {folder}, which may take minutes")
        pip = (str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check")
        await run(sys.executable, "-m", "venv", str(folder))
        await run(*pip, "install", "--quiet", "--requirement", requirements.name)
        installed = await run(*pip, "freeze")
    write_text(folder / INSTALLED, installed)
