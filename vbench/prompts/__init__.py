"""Prompt sets: the fixed inputs of a sweep, known by their digest."""
