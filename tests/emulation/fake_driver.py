"""Builds the CUDA driver that the tests of emulation load instead of the real one."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def build_cuda(folder: Path) -> Path:
    """The folder, with a libcuda.so.1 in it; skips where there is no compiler."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("gcc is missing: the fake CUDA driver can't be built")
    build = [compiler, "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    source = Path(__file__).with_name("fake_cuda.c")
    subprocess.run([*build, "-o", str(folder / "libcuda.so.1"), str(source)], check=True)
    return folder
