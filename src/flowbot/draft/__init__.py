"""Drafting a task from a user's rows: what each column is for, its type, the metric and the splits."""
