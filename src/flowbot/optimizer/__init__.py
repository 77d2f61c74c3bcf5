"""Finding a workflow: who proposes, who judges, the loops, and a run from beginning to end."""
