"""Events: from any file or frame to sorted, memory-mapped sequences, and from those to batches."""
