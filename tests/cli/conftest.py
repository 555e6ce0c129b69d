"""A folder with the command in it, and, once for all, a folder where a small sweep was run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.process import SMALL, Vbench


@pytest.fixture
def vbench(tmp_path: Path) -> Vbench:
    return Vbench(tmp_path)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Vbench:
    """Tests only read it; one that adds to it must work on a sweep of another name."""
    vbench = Vbench(tmp_path_factory.mktemp("small"))
    vbench("sweep", vbench.write(SMALL), check=0)
    return vbench
