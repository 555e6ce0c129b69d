"""A sweep from its checked file to its finished run: `start` before the loop, `session` the loop itself."""
