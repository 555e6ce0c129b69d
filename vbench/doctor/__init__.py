"""What stands between this machine and a sweep: checks with one sentence each, and what to do."""
