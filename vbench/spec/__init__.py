"""A sweep file, from YAML to a frozen SweepSpec: every problem at once, each with its line and a suggestion."""
