"""The protocol of the FlowBot paper (arXiv 2604.26258): bilevel loops over batches, structure edits, layer-wise updates."""
