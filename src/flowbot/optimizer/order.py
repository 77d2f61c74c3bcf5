"""In which order changes of structure and parameters are tried: what a planner may draw from now; see `seams.Order`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .population import P
from .seams import Ballots, Option, Order, Proposer

FAILED = 3
"""Changes of parameters that gain nothing, after which prompts first is no reason any more to leave the structure as it is."""


def in_turn(
    order: Order,
    offers: Sequence[tuple[Proposer[P], Option]],
    ballots: Ballots | None,
    turn: int,
    failed: Mapping[str, int],
) -> Sequence[tuple[Proposer[P], Option]]:
    """Those of the offers that the order allows now; never nothing where there are some.

    Prompts first: a change of the structure waits until some changes of what the blamed steps are told have failed, or none is left,
    unless no prompt could do what it does.

    Args:
        order: which.
        offers: what is left to try on a parent.
        ballots: what the critic said of the parent.
        turn: number of the draw.
        failed: changes of parameters of this parent that gained nothing, by place.
    """
    if order == "free":
        return offers
    if order == "alternate":
        level = "structure" if turn % 2 else "parameters"
        return [each for each in offers if each[1].level == level] or offers
    steps = ballots.steps if ballots else ()

    def is_blamed(place: str) -> bool:
        return not steps or not place or place in steps

    left = any(is_blamed(option.arm.place) for _, option in offers if option.level == "parameters")
    if not left or sum(number for place, number in failed.items() if is_blamed(place)) >= FAILED:
        return offers
    beyond = ballots.beyond if ballots else ()
    return [each for each in offers if each[1].level == "parameters" or each[1].key in beyond]
