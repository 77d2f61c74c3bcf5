"""How good an answer to a customer is: kind, action, amount, and what the reply says and promises."""

import re
from collections.abc import Mapping
from typing import Any

WEIGHTS = {"kind": 0.25, "action": 0.35, "amount": 0.15, "reply": 0.25}
LONGEST = 40  # words of a reply
_NEGATED = re.compile(r"\b(?:not|no|never|cannot|unable|without)\b|n['’]t\b")
_MONEY = re.compile(r"\b(?:refund|reimburse|money back)")
_AGAIN = re.compile(r"\b(?:replace|(?:send|ship|get|receive)\w*\s(?:\w+\s){0,3}(?:new|another|replacement))")
_VAGUE = re.compile(r"\b(?:voucher|discount|coupon|tomorrow|tonight|(?:with)?in (?:\w+ ){1,3}(?:hours|days|weeks))\b")
_LIMIT = r"(?:14|30|fourteen|thirty) days"  # what a refusal may say of the policy
_ONLY = re.compile(rf"\bonly\b.*\b{_LIMIT}|\b{_LIMIT}.*\bonly\b")
_WORDS = re.compile(r"\w+")
_SUM = re.compile(r"(?:€|eur)\s?(\d+)|(\d+)(?:[.,]00)?\s?(?:€|eur)")


def score(example: Any, outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The weighted parts, and what is wrong in words. The order's facts stand in the example's other columns."""
    gold, facts = example.expected, example.extra
    faults: list[str] = []
    parts = dict.fromkeys(WEIGHTS, 0.0)
    if outputs["kind"] == gold["kind"]:
        parts["kind"] = 1.0
    else:
        faults.append(f"the customer's matter is {gold['kind']!r}, not {outputs['kind']!r}")
    if outputs["action"] == gold["action"]:
        parts["action"] = 1.0
        if outputs["amount"] == gold["amount"]:
            parts["amount"] = 1.0
        else:
            faults.append(f"the amount is {gold['amount']}, not {outputs['amount']} ({facts['case']})")
    else:
        faults.append(f"the policy says {gold['action']!r}, not {outputs['action']!r}: {facts['case']}")
    unnamed = [need.split("|")[0] for need in facts["names"] if not _has(outputs["reply"], need)]
    wrong = promise_faults(outputs["reply"], gold, facts)
    repeats = echoes(outputs["reply"], example.inputs["message"])
    parts["reply"] = 0.0 if unnamed or repeats else max(0.0, 1 - 0.5 * len(wrong))
    faults += [f"the reply does not name {each!r}" for each in unnamed] + [f"the reply {each}" for each in wrong]
    if repeats:
        faults.append("the reply repeats what the customer wrote")
    value = sum(weight * parts[part] for part, weight in WEIGHTS.items())
    return {"score": round(value, 6), "feedback": "; ".join(faults), "parts": parts}


def promise_faults(reply: str, gold: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    """What the reply promises though the policy does not, and whether it is too long."""
    text = reply.casefold()
    faults: list[str] = []
    if len(text.split()) > LONGEST:
        faults.append(f"has more than {LONGEST} words")
    promises = [each for each in re.split(r"[.!?;]\s", text) if not _NEGATED.search(each)]
    if gold["action"] == "refuse":  # which may name the policy's limit
        promises = [re.sub(rf"\b(?:with)?in {_LIMIT}\b", "", each) for each in promises if not _ONLY.search(each)]
    if gold["action"] != "refund" and facts["status"] != "refunded" and any(map(_MONEY.search, promises)):
        faults.append("promises a refund that there is not")
    if gold["action"] != "replace" and any(map(_AGAIN.search, promises)):
        faults.append("promises a replacement that there is not")
    if vague := next(filter(None, map(_VAGUE.search, promises)), None):
        faults.append(f"promises what the policy forbids: {vague[0]!r}")
    named = {int(before or after) for before, after in _SUM.findall(text)}
    if other := sorted(named - {gold["amount"], facts["price"], 5}):
        faults.append(f"names {other[0]} euros, which is no sum of this order")
    return faults


def echoes(reply: str, message: str) -> bool:
    """Whether most of the reply, by runs of four words, stands in the message: that is no answer."""
    words = [_WORDS.findall(text.casefold()) for text in (reply, message)]
    said, wrote = ([each[at : at + 4] for at in range(len(each) - 3)] for each in words)
    return 2 * sum(run in wrote for run in said) > len(said)


def _has(text: str, need: str) -> bool:
    """Whether one of the ways to say it (divided by |) stands in the text, as whole words."""
    return any(re.search(rf"(?<!\w){re.escape(way)}(?!\w)", text, re.IGNORECASE) for way in need.split("|"))
