"""One thread for linear algebra: in this process, and not in what it starts."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

import numpy as np
import pytest

from vbench.search.blas import use_one_thread


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libraries are looked up in /proc")
def test_numpys_openblas_is_left_with_one_thread() -> None:
    before = dict(os.environ)
    library = next(iter((Path(np.__file__).parents[1] / "numpy.libs").glob("libscipy_openblas64_*")), None)
    if library is None:
        pytest.skip("numpy wasn't built with its own OpenBLAS")

    assert use_one_thread()

    assert ctypes.CDLL(str(library)).scipy_openblas_get_num_threads64_() == 1
    assert dict(os.environ) == before
