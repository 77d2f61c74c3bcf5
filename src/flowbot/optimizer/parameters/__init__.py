"""Strategies that change what the steps of a structure are told, and how they are set. One file each."""
