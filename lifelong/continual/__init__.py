"""How tasks share one encoder: the bank, views on it, overlays, and the strategies that let a task grow."""
