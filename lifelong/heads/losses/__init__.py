"""Losses that several heads share."""
