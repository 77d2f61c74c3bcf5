"""A found workflow over HTTP and as an MCP tool: typed, in the chat protocol, counted and bounded."""
