"""A file that asks a model while it is imported is refused by whoever imports it, and nothing is sent."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import flowbot as fb
from flowbot.task.modules import Modules
from flowbot.task.programs import read_program

BY_HTTPX = (
    "import httpx, os\ndef ask():\n    httpx.post(os.environ['OPENAI_BASE_URL'] + '/chat/completions', json={})\n"
)
ASYNC = "import asyncio, httpx, os\nasync def once():\n    async with httpx.AsyncClient() as client:\n        await client.post(os.environ['OPENAI_BASE_URL'], json={})\ndef ask():\n    asyncio.run(once())\n"
BY_URLLIB = (
    "import urllib.request\ndef ask():\n    urllib.request.urlopen('https://api.openai.com/v1/responses', b'{}')\n"
)
THREAD = f"import threading\n{BY_HTTPX}def apart():\n    one = threading.Thread(target=ask)\n    one.start()\n    one.join()\n"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize(
    "source",
    [
        f"{BY_HTTPX}ask()\n",
        f"{BY_HTTPX}try:\n    ask()\nexcept Exception:\n    pass\n",
        f"{ASYNC}ask()\n",
        f"{BY_URLLIB}ask()\n",
        f"{THREAD}apart()\n",
    ],
)
def test_it_is_refused_with_its_place_and_nothing_is_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as endpoint:
        endpoint.settimeout(0)
        monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{endpoint.getsockname()[1]}/v1")
        (tmp_path / "app.py").write_text(f"{source}def answer(question): return 'a'\n", encoding="utf-8")
        (tmp_path / "rows.jsonl").write_text('{"question": "q", "answer": "a"}\n', encoding="utf-8")
        (tmp_path / "task.yaml").write_text(
            "flowbot: 1\ngoal: Answer.\ninputs: {question: str}\noutputs: {answer: str}\nmetric: exact\n"
            "data: {train: rows.jsonl}\nprograms: [app.py:answer]\n",
            encoding="utf-8",
        )
        told = r"programs\[0\].*: .*app\.py, which calls (127\.0\.0\.1|api\.openai\.com) when it is imported \(app\.py:\d+\)"
        with pytest.raises(fb.UserError, match=told):
            fb.Task.load(tmp_path / "task.yaml")
        with pytest.raises(BlockingIOError):
            endpoint.accept()


def test_what_a_file_does_besides_is_its_own_business(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Also a model's host once it is imported."""
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    look = "import socket\ndef look(port): return socket.getaddrinfo('127.0.0.1', port)\n"
    (tmp_path / "app.py").write_text(f"{look}look(10)\ndef answer(question): return look(9)\n", encoding="utf-8")
    made = read_program("app.py:answer", "program", tmp_path, Modules(run=True))
    assert made is not None
    assert made.call(question="q")
