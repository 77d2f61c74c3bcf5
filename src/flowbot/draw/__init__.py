"""Pictures of workflows: text, SVG and Mermaid."""
