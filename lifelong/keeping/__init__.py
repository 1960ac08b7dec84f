"""A model as files that can be believed: sealed, checked, certified, read again in later formats."""
