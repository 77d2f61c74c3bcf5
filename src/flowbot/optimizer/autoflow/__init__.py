"""AutoFlow (Li et al. 2024, arXiv 2407.12821): programs in words, written by a model that is told what the last one was worth."""
