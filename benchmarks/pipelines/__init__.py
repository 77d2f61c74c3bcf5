"""Pipelines in the manner of real users, each with the edges that are true of it, against an endpoint on this machine."""
