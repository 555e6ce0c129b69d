"""Which configuration to try next. A method is a Searcher (`base`); results are the truth, so each can be rebuilt."""
