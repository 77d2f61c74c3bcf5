"""Planted faults in programs: whether the text that was spoiled is the one that feedback reaches."""
