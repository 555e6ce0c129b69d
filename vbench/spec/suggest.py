"""Did you mean: the known word nearest to an unknown one."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from itertools import islice

_ALIKE = 0.65
_LONGEST = 100
"""No name is longer; comparing takes the product of two lengths."""
_MOST_CANDIDATES = 500
_SHORTEST_PART = 4


def closest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that `word` was probably meant to be, or None when nothing is near.

    Case and `-` against `_` don't count. A candidate that holds the whole word (`throughput`) counts as near.

    >>> closest("tensor_paralel_size", ["pipeline_parallel_size", "tensor_parallel_size"])
    'tensor_parallel_size'
    """
    if len(word) > _LONGEST:
        return None
    wanted = _plain(word)
    best: tuple[float, int, str] | None = None
    for candidate in islice(candidates, _MOST_CANDIDATES):
        known = _plain(candidate[: _LONGEST + 1])
        score = _likeness(wanted, known)
        if len(wanted) >= _SHORTEST_PART and wanted in known:
            score = max(score, _ALIKE)
        # Of equally near ones the shortest wins, then the first of the alphabet: the same answer on every run.
        rank = (-score, len(candidate), candidate)
        if score >= _ALIKE and (best is None or rank < best):
            best = rank
    return None if best is None else best[2]


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`did you mean x?`, or an empty text."""
    near = closest(word, candidates)
    return "" if near is None else f"did you mean {near}?"


def _likeness(wanted: str, known: str) -> float:
    """Their ratio; 0 where a cheaper look shows that it is below what counts."""
    matcher = SequenceMatcher(None, wanted, known, autojunk=False)
    is_near = matcher.real_quick_ratio() >= _ALIKE and matcher.quick_ratio() >= _ALIKE
    return matcher.ratio() if is_near else 0.0


def _plain(word: str) -> str:
    return word.strip().lower().replace("-", "_")
