"""What fits, before anything is loaded: arithmetic on a model's config, engine arguments and a card's bytes.

No engine, no torch, no GPU. Bytes inside; docs/planner.md has every formula with its source and stated error.
"""
