"""Many processes that train one task together: a group of them, shared steps, tables whose rows lie on many machines."""
