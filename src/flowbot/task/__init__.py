"""What to solve: a task's fields, examples, splits, metric and tools. No model is known here."""

from .example import Example
from .metrics import METRICS, Metric, MetricError
from .sources import CalculatorSource, MCPSource, PythonSource, SearchSource, SQLSource, ToolSource
from .task import Task
from .tools import Timed, Tool, tool_of

__all__ = [
    "METRICS",
    "CalculatorSource",
    "Example",
    "MCPSource",
    "Metric",
    "MetricError",
    "PythonSource",
    "SQLSource",
    "SearchSource",
    "Task",
    "Timed",
    "Tool",
    "ToolSource",
    "tool_of",
]
