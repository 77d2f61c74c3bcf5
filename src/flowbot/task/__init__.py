"""What to solve: a task's fields, examples, splits, metric and tools. No model is known here."""

from .example import Example
from .metrics import METRICS, Metric, MetricError
from .task import Task
from .tools import Tool, tool_of

__all__ = ["METRICS", "Example", "Metric", "MetricError", "Task", "Tool", "tool_of"]
