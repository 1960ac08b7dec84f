"""What people look at: one HTML page, CSV rows, terminal tables; all made from plain dicts."""
