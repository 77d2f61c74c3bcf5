"""Running workflows: schedule, node calls, tools, sandbox, traces and evaluation."""
