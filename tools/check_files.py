"""Two checks for pre-commit: text files end with exactly one newline, and nothing large is committed by mistake.

usage: python tools/check_files.py end-of-file|size FILE…
"""

from __future__ import annotations

import sys
from pathlib import Path

MAX_BYTES = 512 * 1024


def ends_well(path: Path) -> str | None:
    """What is wrong with the end of the file, or None."""
    data = path.read_bytes()
    if not data or (data.endswith(b"\n") and not data.endswith(b"\n\n")):
        return None
    return "ends with empty lines" if data.endswith(b"\n") else "doesn't end with a newline"


def is_small(path: Path) -> str | None:
    """What is wrong with the size of the file, or None."""
    size = path.stat().st_size
    return None if size <= MAX_BYTES else f"{size // 1024} KiB; models and raw results stay out of the repository"


def main(arguments: list[str]) -> int:
    """Check every file named; 1 if any is wrong."""
    check = {"end-of-file": ends_well, "size": is_small}[arguments[0]]
    problems = [f"{path}: {problem}" for path in map(Path, arguments[1:]) if (problem := check(path))]
    print("\n".join(problems), end="\n" if problems else "")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
