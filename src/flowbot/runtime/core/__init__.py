"""Interpreters of programs in words."""
