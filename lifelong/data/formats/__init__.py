"""One file a format: each yields blocks of rows as they stand in the file."""
