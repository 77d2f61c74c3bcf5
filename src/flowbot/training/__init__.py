"""A generator of programs in words that learns from their reward (AutoFlow, Li et al. 2024, arXiv 2407.12821)."""
