"""The studies behind docs/RESULTS.md, one file each: `jobs`, done one by one, and the `tables` that are made of them."""
