"""The audit of dependencies says what it found, and never fails for want of a network."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

_SPEC = importlib.util.spec_from_file_location("audit", Path(__file__).parents[2] / "tools" / "audit.py")
assert _SPEC is not None
assert _SPEC.loader is not None
audit = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(audit)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "pip-audit"
    monkeypatch.setattr(audit, "_program", lambda: str(path))
    return path


def _says(program: Path, stdout: str, status: int) -> None:
    (program.parent / "said").write_text(stdout)
    program.write_text(
        f"#!/bin/sh\ncat {program.parent}/said\necho 'ConnectionError: no route to host' >&2\nexit {status}\n"
    )
    program.chmod(0o755)


def _report(*versions: list[str]) -> str:
    vulns: list[dict[str, Any]] = [{"id": f"V-{n}", "fix_versions": one} for n, one in enumerate(versions)]
    return json.dumps(
        {"dependencies": [{"name": "lib", "version": "1", "vulns": vulns}, {"name": "o", "skip_reason": "x"}]}
    )


def test_no_program(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(audit, "_program", lambda: None)
    assert audit.main() == 0
    assert "audit skipped: pip-audit isn't installed" in capsys.readouterr().out


def test_no_network(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _says(program, "", 1)
    assert audit.main() == 0
    assert (
        capsys.readouterr().out == "audit skipped: pip-audit can't reach its data: ConnectionError: no route to host\n"
    )


def test_a_program_that_cannot_run(program: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert audit.main() == 0
    assert "audit skipped" in capsys.readouterr().out


@pytest.mark.parametrize(("report", "status"), [(_report(), 0), (_report([]), 0), (_report([], ["2"]), 1)])
def test_what_is_known(program: Path, capsys: pytest.CaptureFixture[str], report: str, status: int) -> None:
    _says(program, report, 1)
    assert audit.main() == status
    assert ("mended in 2" in capsys.readouterr().out) == bool(status)


def test_the_lock_is_there() -> None:
    assert audit.LOCK.is_file()
