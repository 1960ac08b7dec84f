"""What the loaders of official downloads share: where files are, rows without quotes, pictures, orders, cores."""
