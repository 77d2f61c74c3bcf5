"""Whether a task or a workflow is sound, and whether the models answer that it is for."""
