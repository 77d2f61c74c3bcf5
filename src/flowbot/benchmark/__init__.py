"""Comparing methods on the same tasks, models and ceilings."""
