"""The process that holds a local model: a llama.cpp server on the loopback address, gone as soon as its owner is.

A process of its own, because the library holds the interpreter's lock while it loads a model (seconds), and hangs or
crashes where it is torn down with a call in flight. Run as a script by `server.py`; it imports nothing of FlowBot.

Protocol: one line of JSON settings comes in, one line `{"address": …}` or `{"error": …}` goes out. Then the owner keeps
standard input open; its end, however the owner dies, ends this process.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys
import threading
from typing import Any


def main() -> int:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the owner's affair: calls in flight finish
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_leave_with_owner, daemon=True).start()
    try:
        server = _serve(settings)
    except Exception as error:  # the library raises RuntimeError, and whatever its bindings raise
        _answer({"error": str(error)})
        return 1
    _answer({"address": server.listening_address})
    threading.Event().wait()
    return 0


def _serve(settings: dict[str, Any]) -> Any:
    # It has no type stubs, and is wanted in this process alone.
    xllamacpp: Any = importlib.import_module("xllamacpp")
    params = xllamacpp.CommonParams()
    params.model.path = settings["path"]
    params.hostnames = ["127.0.0.1"]
    params.port = 0  # any free one
    params.api_keys = [settings["key"]]
    params.n_parallel = settings["slots"]
    params.n_ctx = settings["slots"] * settings["context"]
    params.cpuparams.n_threads = settings["threads"]
    params.cpuparams_batch.n_threads = settings["threads"]
    params.n_gpu_layers = 0
    params.cache_ram_mib = 128
    # Read, not mapped: the library repacks the weights for the processor, and mapped they would be in memory twice.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = -1  # silent
    return xllamacpp.Server(params)


def _answer(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def _leave_with_owner() -> None:
    while sys.stdin.read(1):
        pass
    os._exit(0)  # no teardown: it may hang while a call is in flight


if __name__ == "__main__":
    sys.exit(main())
