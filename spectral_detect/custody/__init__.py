"""The record of a run, chained by hashes, and the check that everything is still as it says."""
