"""LLM-AutoDiff (Yin & Wang 2025, arXiv 2501.16673): texts of a workflow tuned by textual gradients, their history and two gates."""
