"""Holding trials on this machine to another card: its memory, and what it can do. Not its speed."""
