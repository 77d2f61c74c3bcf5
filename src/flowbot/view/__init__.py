"""The live page over all runs."""
