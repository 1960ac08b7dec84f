"""What one task is: its file, its cases, its network, and the sealed member of a model."""
