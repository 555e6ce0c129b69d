"""Keepers without a bench, for what happens before one is ready."""

from __future__ import annotations

import sys
from pathlib import Path

from vbench.execution.interpreters import Interpreter
from vbench.execution.keeper_client import Keeper


def make_keeper(folder: Path, engine: str = "fake", **environment: str) -> Keeper:
    interpreter = Interpreter(
        path=sys.executable, python_version="3", distribution="x", engine_version="1", packages={}
    )
    return Keeper(
        interpreter, engine, preload=True, environment=environment, run_uid="ab" * 16,
        log=folder / "keeper.log",
    )  # fmt: skip
