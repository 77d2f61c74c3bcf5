"""A command of `flowbot` against an endpoint on this machine that gives whatever fits: tells that all of it runs, and nothing of models.

python benchmarks/mocked.py bench benchmarks/small.yaml --out OUT --cache-dir CACHE
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

from first_jobs.model import Asked, Thinker
from flowbot.testing.fake_behaviours import fill


def anything(asked: Asked) -> str:
    """An answer of the form that is asked for."""
    if asked.schema is None:
        return 'No change. So: {"total": 3}'
    return json.dumps(fill(asked.schema, asked.text, texts=lambda *_: "x"))


def main() -> None:
    """Run the command, and end as it ends."""
    began = time.monotonic()
    with Thinker(anything) as thinker:
        environment = {**os.environ, "OPENAI_BASE_URL": thinker.url, "OPENAI_API_KEY": "none"}
        done = subprocess.run([sys.executable, "-m", "flowbot", *sys.argv[1:]], env=environment, check=False)
    print(f"{thinker.count.requests:,} requests, {time.monotonic() - began:.0f} s")
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
