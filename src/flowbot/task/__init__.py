"""What to solve: a task's fields, examples, splits, metric and tools. No model is known here."""

from .example import Example
from .judge import Criterion, Judge
from .metrics import METRICS, Metric, MetricError, MetricGiven, Part, Parts
from .sources import CalculatorSource, MCPSource, PythonSource, SearchSource, SQLSource, ToolSource
from .task import Task
from .tools import Timed, Tool, tool_of

__all__ = [
    "METRICS",
    "CalculatorSource",
    "Criterion",
    "Example",
    "Judge",
    "MCPSource",
    "Metric",
    "MetricError",
    "MetricGiven",
    "Part",
    "Parts",
    "PythonSource",
    "SQLSource",
    "SearchSource",
    "Task",
    "Timed",
    "Tool",
    "ToolSource",
    "tool_of",
]
