"""From recorded runs of a program to a typed workflow that makes the same requests, or to the step that defeats it."""
