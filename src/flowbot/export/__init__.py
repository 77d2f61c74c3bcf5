"""A workflow as files that run without FlowBot: one file a target, and the check that it asks for the same."""
