"""The thread of the store: where there is none to be had, every job is refused, and none waits for ever."""

from __future__ import annotations

import threading

import pytest

from flowbot.fields import InfrastructureError
from flowbot.store.worker import Worker


def test_without_a_thread_each_job_is_refused_until_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    worker: Worker[int] = Worker("test", done.extend)

    def none_left(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        for job in (1, 2):
            with pytest.raises(InfrastructureError, match="new thread"):
                worker.submit(job)
    worker.submit(3)
    worker.stop()
    assert done == [3]
