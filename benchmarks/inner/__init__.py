"""What the measurements of inner optimisers share: tasks of either list of `design.txt`, and a search that is opened to be looked at."""
