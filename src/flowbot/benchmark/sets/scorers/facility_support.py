"""Facility support: the score of categories, as in the tutorial of DSPy's GEPA: the share of all categories that are told rightly."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from flowbot.fields import Score
from flowbot.task import Example

CATEGORIES = (
    "cleaning_services_scheduling",
    "customer_feedback_and_complaints",
    "emergency_repair_services",
    "facility_management_issues",
    "general_inquiries",
    "quality_and_safety_concerns",
    "routine_maintenance_requests",
    "specialized_cleaning_services",
    "sustainability_and_environmental_practices",
    "training_and_support_requests",
)


def categories(example: Example, outputs: Mapping[str, Any]) -> Score:
    """The share of the categories that are named and should be, or are not and should not."""
    given = outputs.get("categories")
    found = set(map(str, cast("list[Any]", given))) if isinstance(given, list) else set[str]()
    wanted = set(example.expected.get("categories", ()))
    faults = [f"{each} is missing" for each in CATEGORIES if each in wanted - found]
    faults += [f"{each} is one too many" for each in CATEGORIES if each in found - wanted]
    return Score(1 - len(faults) / len(CATEGORIES), "; ".join(faults))
