"""How a model takes a task in; one file each."""
