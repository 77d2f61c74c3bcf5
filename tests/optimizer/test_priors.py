"""The shipped priors: they are what their source says, and a faulty file is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowbot.fields import UserError
from flowbot.optimizer.judge import PRIOR_SPREAD
from flowbot.optimizer.priors import load_priors, shipped_priors
from simulate.rivals.arms import ADD, REMOVE


def test_the_shipped_priors_are_the_base_rates_of_the_simulator() -> None:
    priors = shipped_priors()
    assert "not measured" in priors.source
    expected = {**ADD, "best": ADD["vote"], "remove": REMOVE}
    measured = {"compute number"}
    judged = {"derive": 0.08, "derive by code": 0.0, "verify": -0.03}
    expected |= {
        "calculate": ADD["compute"],
        "program": ADD["compute"],
        "quote": ADD["plan"],
        "route": ADD["apart"],
        **judged,
    }
    assert all(f"`{kind.split()[0]}`" in priors.source for kind in (*judged, "calculate", "program", "quote", "route"))
    assumed = {kind: mean for kind, mean in priors.structure.items() if kind not in measured}
    assert assumed == pytest.approx(expected, abs=5e-5)


def test_a_kind_is_looked_up_in_its_loop_and_one_of_ones_own_is_believed_to_gain_nothing() -> None:
    priors = shipped_priors()
    assert priors.belief("instruct", "parameters").mean > 0 > priors.belief("rewrite").mean
    assert (priors.belief("of my own").mean, priors.belief("of my own").spread) == (0.0, PRIOR_SPREAD)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"structure": {"vote": 2}}, "structure.vote"),
        ({"structure": {"vote": "much"}}, "structure.vote"),
        ({"source": ""}, "source"),
        ({"kinds": {}}, "kinds"),
    ],
)
def test_a_faulty_file_is_refused_with_its_member(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    path = tmp_path / "own.json"
    path.write_text(json.dumps({"source": "mine", "structure": {}, "parameters": {}} | change), encoding="utf-8")
    with pytest.raises(UserError, match=named):
        load_priors(path)
