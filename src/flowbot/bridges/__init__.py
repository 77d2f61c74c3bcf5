"""FlowBot inside other libraries: each file is imported by who has that library."""
