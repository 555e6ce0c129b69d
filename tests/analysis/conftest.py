"""Lets these tests make runs of the records that `benchmarks` makes up."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parents[2]))
