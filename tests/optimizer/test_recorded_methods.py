"""Recorded runs of the methods are made again, request by request: what is asked, written, decided and found is the same.

A request that was not recorded is an error that shows the nearest one. `record_methods.py` made the recordings.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from record_methods import METHODS, RECORDED, run


def expected(method: str) -> dict[str, Any]:
    return json.loads((RECORDED / method / "expected.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("method", METHODS)
async def test_a_recorded_run_is_made_again_to_the_letter(method: str, tmp_path: Path) -> None:
    replies = tmp_path / "replies.jsonl"
    replies.write_bytes(gzip.decompress((RECORDED / method / "replies.jsonl.gz").read_bytes()))
    found = await run(method, f"recorded/{replies}", tmp_path)
    assert found == expected(method)
    asked = len(replies.read_bytes().splitlines())
    assert sum(found["calls"].values()) == asked, "all that was asked then is asked now"


def test_the_recordings_hold_refusals_at_every_turn() -> None:
    proposals = {method: expected(method)["proposals"] for method in METHODS}
    for method in ("paper+layerwise", "paper+none", "paper+blame"):
        structure = [each for each in proposals[method] if each["level"] == "structure"]
        assert [(each["workflow"] is not None, len(each["errors"])) for each in structure] == [
            (True, 1), (True, 0), (False, 3), (False, 3),
        ]  # fmt: skip
    for method in ("paper+layerwise", "none+layerwise"):
        tuned = [each for each in proposals[method] if each["level"] == "parameters"]
        changes = " ".join(change for each in tuned for change in each["changes"])
        assert "list: new instruction" in changes
        assert "sum: new code" in changes
        assert any(each["changes"] and each["errors"] for each in tuned), "one step is updated, another is refused"
