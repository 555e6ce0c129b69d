"""How many threads numpy's linear algebra takes: one. The matrices of a search are small, so that more threads gain
nothing, and they wait for each other in busy loops while engines want the cores.

Set in this process alone, not by `OPENBLAS_NUM_THREADS`, which the engines would inherit.
"""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

_SETTERS = ("scipy_openblas_set_num_threads64_", "scipy_openblas_set_num_threads", "openblas_set_num_threads64_",
            "openblas_set_num_threads")  # fmt: skip


@cache
def use_one_thread() -> bool:
    """Whether an OpenBLAS was found among this process's libraries, and set. Another library keeps its threads."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    paths = {line.split(maxsplit=5)[5] for line in lines if "openblas" in line and len(line.split(maxsplit=5)) == 6}
    are_set = [_set_one(path) for path in sorted(paths)]
    return any(are_set)


def _set_one(path: str) -> bool:
    try:
        library = ctypes.CDLL(path)
    except OSError:
        return False
    for name in _SETTERS:
        setter = getattr(library, name, None)
        if setter is not None:
            setter(ctypes.c_int(1))
            return True
    return False
