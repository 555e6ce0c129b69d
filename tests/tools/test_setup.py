"""The set-up: a second run does nothing, quickly, and what the project says about itself agrees."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCK = (ROOT / "requirements" / "cpu.lock").read_text(encoding="utf-8").splitlines()


FAKE_PYTHON = """#!/bin/sh
echo "$*" >> calls.txt
case "$*" in *+cpu*) echo "ERROR: No matching distribution found for torch"; exit 1;; esac
"""


def distribution(project: Path, name: str, version: str) -> None:
    info = project / ".venv" / "lib" / "python3.11" / "site-packages" / f"{name.replace('-', '_')}.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout whose .venv claims to hold all that it should, with a pip that only writes down what it is asked."""
    for folder in ("tools", "requirements", ".venv/bin"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("tools/setup_env.py", "requirements/cpu.lock", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text(FAKE_PYTHON, encoding="utf-8")
    python.chmod(0o755)
    for pin in (line for line in LOCK if line and not line.startswith("#")):
        distribution(tmp_path, *pin.split("=="))
    distribution(tmp_path, "torch", "2.13.0+cpu")
    distribution(tmp_path, "vbench", "0.1.0")
    return tmp_path


def set_up(project: Path) -> tuple[str, list[str]]:
    """What the set-up says, and what it asks pip to install."""
    calls = project / "calls.txt"
    calls.unlink(missing_ok=True)
    command = [sys.executable, "tools/setup_env.py"]
    environment = {name: value for name, value in os.environ.items() if name != "VBENCH_TORCH_WHEEL"}
    done = subprocess.run(command, cwd=project, check=True, text=True, stdout=subprocess.PIPE, env=environment)
    asked = calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []
    return done.stdout, [line.partition("--no-compile ")[2] for line in asked]


def test_a_second_setup_does_nothing(project: Path) -> None:
    editable = f"--no-deps --no-build-isolation --editable {project}"
    assert set_up(project)[1] == [editable]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert set_up(project) == ("", [])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime - before.ru_utime < 5  # processor time: 0.3 s, however busy the machine is
    with (project / "pyproject.toml").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    assert set_up(project)[1] == [editable]


def test_only_what_the_lock_changed_is_installed(project: Path) -> None:
    set_up(project)
    distribution(project, "ruff", "0.0.1")
    said, asked = set_up(project)
    assert asked == [f"--no-deps {next(line for line in LOCK if line.startswith('ruff=='))}"]
    assert "1 of the" in said


def test_without_a_cpu_torch_it_explains_and_takes_the_plain_one(project: Path) -> None:
    set_up(project)
    distribution(project, "torch", "1.0")
    said, asked = set_up(project)
    assert asked == ["--no-deps torch==2.13.0+cpu", "torch==2.13.0"]
    assert said.index("PIP_EXTRA_INDEX_URL") < said.index("several GB of CUDA") < said.index("with its dependencies")


def test_without_a_python_it_says_so(tmp_path: Path) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "setup.sh").write_text((ROOT / "tools" / "setup.sh").read_text(encoding="utf-8"), encoding="utf-8")
    only_dirname = tmp_path / "bin"
    only_dirname.mkdir()
    (only_dirname / "dirname").symlink_to("/usr/bin/dirname")
    done = subprocess.run(
        ["/bin/sh", str(tools / "setup.sh")],
        check=False,
        text=True,
        capture_output=True,
        env={"PATH": str(only_dirname)},
    )
    assert done.returncode == 1
    assert "needs Python 3.11" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_the_lock_pins_everything_and_leaves_the_torch_family_out() -> None:
    pins = [line for line in LOCK if line and not line.startswith("#")]
    assert all(line.count("==") == 1 and " " not in line for line in pins)
    names = {line.partition("==")[0] for line in pins}
    assert not names & {"torch", "torchvision", "torchaudio", "torchcodec", "triton"}
    assert len(names) == len(pins)


def test_the_lock_has_the_engine_that_pyproject_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(project["optional-dependencies"]["cpu"]) <= set(LOCK)


def test_the_demo_prompts_share_a_long_beginning() -> None:
    lines = (ROOT / "sweeps" / "prompts" / "demo.jsonl").read_text(encoding="ascii").splitlines()
    prompts = [json.loads(line)["prompt"] for line in lines]
    assert len(set(prompts)) == len(prompts) == 32
    shared = 0.8 * max(map(len, prompts))
    assert len({prompt[: int(shared)] for prompt in prompts}) == 1
    assert all(prompt.endswith("\nStep 1:") for prompt in prompts)


@pytest.mark.parametrize(("text", "status"), [("a\n", 0), ("", 0), ("a", 1), ("a\n\n", 1)])
def test_the_end_of_file_check(tmp_path: Path, text: str, status: int) -> None:
    path = tmp_path / "file.txt"
    path.write_text(text, encoding="ascii")
    command = [sys.executable, str(ROOT / "tools" / "check_files.py"), "end-of-file", str(path)]
    assert subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == status
