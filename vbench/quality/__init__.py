"""Whether a configuration's answers are as good as the reference's: the texts, and the comparison."""
