"""Which interpreters hold an engine, what it was built for, and whether this machine's driver and GPUs can run it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vbench.doctor.check import Check, fail, ok, warn
from vbench.errors import MachineError
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter
from vbench.hardware.gpu_device import GpuDevice
from vbench.planner.ability_data import WHEEL_FLOORS
from vbench.planner.budget import Version, parse_version

ENGINE = "vllm"
_ABOUT = "engine"
_FOLDERS = (".venv", "venv", "env")
_MOST_FOUND = 12  # a folder of dozens of environments isn't asked one by one
_CUDA_13_SINCE = (0, 20)
# NVIDIA's CUDA compatibility notes: the least driver of a major version of CUDA.
_LEAST_DRIVER = {13: (580, 65, 6), 12: (525, 60, 13)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundEngine:
    """An engine that could be imported."""

    interpreter: Interpreter
    platform: str
    """What it was built for, as it says: `cpu`, `cuda`, or another word."""

    @property
    def version(self) -> Version:
        """Release numbers."""
        return parse_version(self.interpreter.engine_version)

    @property
    def is_cpu(self) -> bool:
        """Whether it runs without a GPU."""
        return self.platform == "cpu" or self.interpreter.distribution.endswith("-cpu")


def interpreters_here(folder: Path) -> list[str]:
    """Paths to ask: the one vbench runs on, then virtual environments in `folder`. Each environment once."""
    here = [folder / name for name in _FOLDERS]
    here += sorted((folder / "envs").glob("*")) if (folder / "envs").is_dir() else []
    found = [sys.executable, *(str(one / "bin" / "python") for one in here if (one / "bin" / "python").exists())]
    unique: dict[str, str] = {}
    for path in found:  # not resolved to the end: every virtual environment's python is a link to the same one
        unique.setdefault(os.path.realpath(os.path.dirname(path)), path)
    return list(unique.values())[:_MOST_FOUND]


def check_engine(
    python: str, driver: str | None, gpus: Sequence[GpuDevice], *, is_named: bool
) -> tuple[list[Check], FoundEngine | None]:
    """What this interpreter holds; the engine is returned only where a sweep could start with it.

    Without an engine it is a failure only if the user named it: an environment may be there for something else.
    """
    shown = shown_path(python)
    try:
        interpreter = find_interpreter(python, ENGINE)
    except MachineError as error:
        says = str(error).replace(python, shown)
        if is_named:
            return [fail(_ABOUT, shown, says, "name an interpreter that holds the engine")], None
        return [warn(_ABOUT, shown, f"no {ENGINE} here", "name the interpreter that has it: --python, `python:`")], None
    named = f"{ENGINE} {interpreter.engine_version} on Python {interpreter.python_version}"
    try:
        description = describe_engine(interpreter, ENGINE)
    except MachineError as error:
        advice = "start that Python and `import vllm`: its whole message says more; usually it was built for other "
        return [fail(_ABOUT, shown, f"{named}: {error}".replace(python, shown), advice + "versions of torch")], None
    engine = FoundEngine(interpreter=interpreter, platform=str(description.get("platform") or "unknown"))
    if engine.is_cpu:
        return [ok(_ABOUT, shown, f"{named}, built for the CPU, PyTorch {interpreter.packages.get('torch')}")], engine
    return _on_gpu(shown, named, engine, driver, gpus)


def shown_path(python: str) -> str:
    """Relative where that is shorter, and without the home folder's name."""
    path = os.path.abspath(os.path.expanduser(python)) if os.sep in python else python
    home = os.path.expanduser("~")
    relative = os.path.relpath(path) if os.path.isabs(path) else path
    if not relative.startswith(".."):
        return relative
    return "~" + path[len(home) :] if home != "/" and path.startswith(home + os.sep) else path


def _on_gpu(
    shown: str, named: str, engine: FoundEngine, driver: str | None, gpus: Sequence[GpuDevice]
) -> tuple[list[Check], FoundEngine | None]:
    says = f"{named}, built for GPUs, PyTorch {engine.interpreter.packages.get('torch')}"
    if not gpus:
        advice = "run it where the GPU is; here `vbench plan FILE` works, and the engine's CPU build (`make setup`)"
        return [fail(_ABOUT, shown, f"{says}, and an engine sees no GPU here", advice)], None
    problems = [*driver_problem(shown, engine, driver), *_capability_problems(shown, engine, gpus)]
    return ([*problems], None) if problems else ([ok(_ABOUT, shown, says)], engine)


def driver_problem(shown: str, engine: FoundEngine, driver: str | None) -> list[Check]:
    """A driver too old for the CUDA that the engine's wheels hold; nothing where one of both isn't known."""
    cuda = cuda_of(engine)
    have = tuple(int(one) for one in re.findall(r"\d+", driver or ""))
    least = _LEAST_DRIVER.get(cuda)
    if least is None or not have or have >= least:
        return []
    needs = ".".join(f"{one:02d}" for one in least)
    says = (
        f"{ENGINE} {engine.interpreter.engine_version} holds CUDA {cuda}, which needs driver {needs}; here is {driver}"
    )
    advice = f"update the driver to {needs} or newer"
    if cuda == 13:
        advice += ", or install vllm 0.19.1, or a newer one's +cu129 wheel"
    return [fail(_ABOUT, shown, says, advice)]


def cuda_of(engine: FoundEngine) -> int:
    """The major version of CUDA in its wheels: PyTorch's own label (`2.11.0+cu130`), else by the engine's version."""
    for text in (engine.interpreter.packages.get("torch"), engine.interpreter.engine_version):
        label = re.search(r"\+cu(\d\d)\d", text or "")
        if label is not None:
            return int(label.group(1))
    return 13 if engine.version >= _CUDA_13_SINCE else 12


def _capability_problems(shown: str, engine: FoundEngine, gpus: Sequence[GpuDevice]) -> list[Check]:
    floor = next((floor for since, floor in reversed(WHEEL_FLOORS) if engine.version >= since), None)
    checks = []
    for gpu in gpus:
        has = gpu.facts().compute_capability
        if floor is not None and has is not None and has < floor:
            says = (
                f"{gpu.label} has compute capability {has[0]}.{has[1]}, and {ENGINE} "
                f"{engine.interpreter.engine_version} is built from {floor[0]}.{floor[1]} on"
            )
            checks.append(fail(_ABOUT, shown, says, "hide it by CUDA_VISIBLE_DEVICES, or use an older engine"))
    return checks
