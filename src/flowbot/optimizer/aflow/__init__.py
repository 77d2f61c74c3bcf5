"""AFlow (Zhang et al. 2024, arXiv 2410.10762): a tree of structures, each one modification of another, with what was tried on it."""
