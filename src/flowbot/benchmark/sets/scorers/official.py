"""A set's own rule as a metric with an identity that stays: the version of the rule, and those of the packages that it goes by."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from flowbot.fields import UserError
from flowbot.task import Metric
from flowbot.task.metrics import MetricCall

INSTALL = "`pip install 'flowbot[bench]'`"


def official(
    name: str, call: MetricCall, *, rule: int, pure: bool, packages: Sequence[str] = (), of: str = ""
) -> Metric:
    """The metric of a publisher's rule.

    A callable of a user's is known by its file and by all that this imports; here that would be FlowBot itself, so that scores would be
    thrown away with every change of it.

    Args:
        name: of the metric.
        call: the scorer.
        rule: the version of the scorer: another one where it scores any answer otherwise than before.
        pure: whether it always gives the same; what may run out of time does not, and is stored.
        packages: distributions that decide about the score.
        of: what else decides, such as the content of databases.

    Raises:
        UserError: naming `set`, if a package is not installed.
    """
    try:
        told = [f"{each} {version(each)}" for each in packages]
    except PackageNotFoundError as error:
        raise UserError("set", f"a set that needs the package {error.name}", mend=f"install it: {INSTALL}") from None
    return Metric(name, pure, " ".join([f"{name}/{rule}", *told, *([of] if of else [])]), call)
