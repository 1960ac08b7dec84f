"""Floor 0: the ground everything stands on. Imports nothing else of ours."""
