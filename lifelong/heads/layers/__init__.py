"""Layers that heads are made of."""
