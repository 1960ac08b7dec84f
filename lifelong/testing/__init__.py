"""Contract tests by kind, as plain functions that raise AssertionError; for our own tests and for third parties."""
