"""Profile prediction, judged fairly: folds by user, honest baselines in the same table, intervals on the differences."""

from lifelong.profiling.run import Settings, profile

__all__ = ["Settings", "profile"]
