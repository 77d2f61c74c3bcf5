"""What a notebook shows of FlowBot's values. They know nothing of it: what draws one is registered for its type."""
