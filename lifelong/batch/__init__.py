"""A folder of files asked at once: tables of events in, tables of answers out."""
