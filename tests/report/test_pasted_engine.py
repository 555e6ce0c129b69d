"""Who reads only the top of a page can start the engine: what stands there is taken as a browser gives it to the
clipboard, and run."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.records.builders import make_record, make_run
from tests.report.test_recipes import words_of
from vbench.errors import MachineError
from vbench.execution.interpreters import find_interpreter
from vbench.records.record import TrialRecord
from vbench.report.build import build_report

pytestmark = [pytest.mark.engine, pytest.mark.slow]

SERVED = """
import json, sys
from importlib import import_module

def first(name, *homes):
    for home in homes:  # where the versions have it
        try:
            return getattr(import_module(home), name)
        except (ImportError, AttributeError):
            pass
    raise SystemExit("no " + name)

make_arg_parser = first("make_arg_parser", "vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.openai.cli_args")
FlexibleArgumentParser = first("FlexibleArgumentParser", "vllm.utils.argparse_utils", "vllm.utils")
found = make_arg_parser(FlexibleArgumentParser()).parse_args(sys.argv[1:])
names = ("max_num_seqs", "max_model_len", "dtype", "enforce_eager", "enable_prefix_caching", "speculative_config")
print(json.dumps({name: getattr(found, name) for name in names} | {"model": found.model_tag}))
"""
COUNT = """
if __name__ == "__main__":
    print("tokens", len(outputs[0].outputs[0].token_ids))
"""


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter that holds the engine."""
    try:
        return str(find_interpreter(None, "vllm").path)
    except MachineError as error:
        pytest.skip(str(error))


def tiny(folder: Path, name: str, **config: Any) -> TrialRecord:
    """A record of one of the tiny models, with settings that a sweep of them would have."""
    settings: dict[str, Any] = {
        "model": str(folder / name), "dtype": "bfloat16", "enforce_eager": True, "max_model_len": 256,
        "block_size": 32, "kv_cache_memory_bytes": 16 * 1024**2, "enable_prefix_caching": False, "max_num_seqs": 4,
        "environment": {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1"},
    }  # fmt: skip
    return make_record(0, [250.0, 252.0, 251.0], config={**settings, **config}, parameters={"max_num_seqs": 4})


def pasted(record: TrialRecord, root: Path) -> dict[str, str]:
    """What the page gives to paste, by the word under which it stands."""
    page = build_report(make_run(root / "results", [record]), root / "reports").html.read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for block in re.findall(r"<pre[^>]*><code[^>]*>(.*?)</code></pre>", page, re.DOTALL):
        text = html.unescape(block)
        for name, word in (("Server", "vllm serve "), ("Python", "LLM(**kwargs)"), ("Sweep file", "engine_args:\n")):
            if word in text:
                found.setdefault(name, text)
    return found


def run_cell(cell: str, python: str, folder: Path) -> str:
    """The cell as a script, in a process that knows nothing of vbench's settings."""
    script = folder / "cell.py"
    script.write_text(cell, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    done = subprocess.run(
        [python, script], cwd=ROOT, env=kept, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.mark.parametrize(
    "checkpoint",
    [
        ("base", {"environment": {"OMP_NUM_THREADS": "1", "VLLM_ENABLE_V1_MULTIPROCESSING": "0"}}),
        ("awq", {"quantization": "awq", "dtype": "float16"}),
    ],
    ids=["base", "awq, engine core in a process of its own"],
)
def test_the_python_cell_generates_as_it_is(
    checkpoint: tuple[str, dict[str, Any]], tiny_model: Path, python: str, tmp_path: Path
) -> None:
    name, config = checkpoint
    cell = pasted(tiny(tiny_model, name, **config), tmp_path)["Python"]

    printed = run_cell(f"{cell}\n{COUNT}", python, tmp_path)

    assert re.search(r"^tokens [1-9]", printed, re.MULTILINE)


def test_the_server_line_is_what_vllm_takes(tiny_model: Path, python: str, tmp_path: Path) -> None:
    speculative = {"method": "ngram", "num_speculative_tokens": 2, "prompt_lookup_max": 4}
    record = tiny(tiny_model, "base", speculative_config=speculative)
    words = words_of(pasted(record, tmp_path)["Server"])
    assert words[0] == "serve"

    done = subprocess.run([python, "-c", SERVED, *words[1:]], capture_output=True, text=True, timeout=300, check=False)

    assert done.returncode == 0, done.stderr[-3000:]
    wanted = {name: record.config[name] for name in ("max_num_seqs", "max_model_len", "dtype", "enforce_eager")}
    taken = json.loads(done.stdout.splitlines()[-1])
    assert taken == {
        **wanted, "enable_prefix_caching": False, "speculative_config": speculative, "model": record.config["model"],
    }  # fmt: skip
