"""Answers of a sealed task, how fast they come and how good they are."""
