"""Files only: immutable objects, numbered versions, verify; knows nothing of models."""
