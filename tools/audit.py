"""Hold the locked dependencies against the published vulnerabilities, by pip-audit.

Says so, and ends well, where pip-audit isn't installed or its data can't be reached: then nothing is known either way.
Ends with 1 where a version is locked that has a known vulnerability and a release that mends it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LOCK = Path(__file__).parents[1] / "requirements" / "cpu.lock"
_DEADLINE_S = 180
_ANSWER_S = 10


def main(extra: Sequence[str] = ()) -> int:
    """The exit code. `extra` are options of pip-audit's own (`--ignore-vuln ID`)."""
    program = _program()
    if program is None:
        return _skipped("pip-audit isn't installed (`.venv/bin/pip install pip-audit`)")
    words = [
        program, "--requirement", str(LOCK), "--no-deps", "--disable-pip", "--format", "json",
        "--progress-spinner", "off", "--timeout", str(_ANSWER_S), *extra,
    ]  # fmt: skip
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return _skipped(f"pip-audit gave no answer: {error}")
    try:
        report = json.loads(done.stdout)
    except ValueError:
        said = done.stderr.strip().splitlines()
        return _skipped(f"pip-audit can't reach its data: {said[-1] if said else 'it said nothing'}")
    return _told(list(_found(report)))


def _program() -> str | None:
    beside = Path(sys.executable).parent / "pip-audit"
    return str(beside) if beside.exists() else shutil.which("pip-audit")


def _skipped(why: str) -> int:
    print(f"audit skipped: {why}")
    return 0


def _found(report: Any) -> Iterator[tuple[str, list[str]]]:
    """Each vulnerability in words, and the versions that mend it."""
    for one in report.get("dependencies", []):
        for vulnerability in one.get("vulns", []):
            yield (
                f"{one['name']} {one['version']}: {vulnerability['id']}",
                list(vulnerability.get("fix_versions") or []),
            )


def _told(found: Sequence[tuple[str, Sequence[str]]]) -> int:
    for text, mended in found:
        print(f"{text}; {'mended in ' + ', '.join(mended) if mended else 'no release mends it yet'}")
    can_be_mended = any(mended for _, mended in found)
    print(f"audit: {len(found)} known vulnerabilities" if found else "audit: no known vulnerability")
    return int(can_be_mended)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
