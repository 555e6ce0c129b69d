"""vbench: throughput benchmarking and tuning for LLM inference.

Nothing is imported here: `vbench --help` and the worker both pass through this file.
"""
