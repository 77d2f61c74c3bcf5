"""Search procedures re-implemented on the simulated world: FlowBot 0.1's own, its peers', and the pool that is to replace it."""
