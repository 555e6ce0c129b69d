"""Running trials: the keeper's other end, deadlines and kills, memory samples, and what a failure was."""
