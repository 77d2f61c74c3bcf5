"""Do inner optimisers find the one step that is wrong? Workflows with a planted fault, models without a model."""
