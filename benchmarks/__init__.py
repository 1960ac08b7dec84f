"""Benchmarks: ours and the peer on the same data, under the same protocol, in turn."""
