"""What the records say: rankings, intervals, effects, failures. Pure functions: no engine, no GPU, no files."""
