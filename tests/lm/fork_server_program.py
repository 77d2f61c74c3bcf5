"""A program that holds a local model's server, forks, and says what each side has. The model is a stand-in that waits."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from flowbot.lm.local import server as servers
from flowbot.lm.local.server import Settings, acquire, release

SETTINGS = Settings(Path("model.gguf"), 1, 256, 1)
HELD: list[servers.Server] = []
"""As clients do, which a forked process inherits."""
STAND_IN = (
    'import sys\nsys.stdin.readline()\nprint(\'{"address": "http://127.0.0.1:1"}\', flush=True)\nsys.stdin.read()\n'
)


def started() -> int:
    """The number of the server's process."""
    server = acquire(SETTINGS)
    server.address()
    HELD.append(server)
    assert server._process is not None
    return server._process.pid


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def main() -> None:
    servers._CHILD = Path(sys.argv[1])
    servers._CHILD.write_text(STAND_IN)
    own = started()
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        os.write(writing, json.dumps(started()).encode())
        sys.exit(0)  # with all that is done at the end of a program
    os.close(writing)
    theirs = json.loads(os.read(reading, 100))
    _, status = os.waitpid(child, 0)
    print(
        json.dumps({"own": own, "theirs": theirs, "status": status, "lives": [alive(own), alive(theirs)]}), flush=True
    )
    if os.fork() == 0:  # one that outlives its parent, whose server must end all the same
        sys.stdin.read()
        os._exit(0)
    if sys.argv[2] == "release":
        release(acquire(SETTINGS))
        release(servers._registry.servers[SETTINGS])
        print(json.dumps(alive(own)))
    os._exit(0)


main()
