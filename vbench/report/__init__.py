"""What people see of a run: the page, its Markdown, plots and table files, recipes, and the terminal's tables."""
