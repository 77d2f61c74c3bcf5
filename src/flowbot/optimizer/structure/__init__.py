"""Proposers that change the structure of a workflow."""
