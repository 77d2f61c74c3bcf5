"""The page on observation is true: its snippet runs, and its events are those that the code logs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from cli_help import FLOW

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "observation.md").read_text(encoding="utf-8")


def test_the_snippet_prints_the_spans_of_a_run(tmp_path: Path) -> None:
    found = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert found is not None
    program = found.group(1).replace("openai/gpt-4.1-mini", "fake/counter")
    flow = FLOW.replace("{note: str}", "{question: str}").replace("{note: note}", "{question: question}")
    (tmp_path / "found.flow.yaml").write_text(flow, encoding="utf-8")
    around = {**os.environ, "FLOWBOT_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=around, capture_output=True, text=True, check=True
    )
    names = re.findall(r'^    "name": (".*"),$', done.stdout, re.MULTILINE)
    assert [json.loads(name) for name in names] == ["chat counter", "invoke_workflow"]
    assert "total" in done.stdout


def test_every_event_that_is_logged_stands_on_the_page() -> None:
    logged: set[str] = set()
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        logged |= set(re.findall(r'(?:"event": |\.note\(\s*)"(\w+\.\w+)"', text))
    assert logged == set(re.findall(r"^\| `(\w+\.\w+)` \|", PAGE, re.MULTILINE))
