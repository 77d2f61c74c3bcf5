"""Optimisers of workflows against planted truth: no model, costs in model calls. `python benchmarks/simulate` makes the table."""
