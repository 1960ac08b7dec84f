"""What results are measured by: metrics, intervals, ranks, forgetting, counting baselines."""
