"""An interpreter whose vLLM is `sick_server`: as much of a vLLM as the worker's server mode looks at."""

from __future__ import annotations

import shutil
import sys
import venv
from pathlib import Path

VERSION = "0.32.0"
_ARGUMENTS = """
import dataclasses
from typing import Optional

@dataclasses.dataclass
class EngineArgs:
    model: str = ""
    sickness: str = "none"
    max_num_seqs: Optional[int] = None
    max_model_len: Optional[int] = None
    enable_prefix_caching: bool = False
    disable_log_stats: bool = False

AsyncEngineArgs = EngineArgs
"""
_CLI_ARGUMENTS = """
import dataclasses
from vllm.engine.arg_utils import EngineArgs

def make_arg_parser(parser):
    for name in ("host", "port", "uds", "api-key", "served-model-name"):
        parser.add_argument("--" + name)
    parser.add_argument("--middleware", action="append", default=[])
    for field in dataclasses.fields(EngineArgs):
        parser.add_argument("--" + field.name, default=field.default)
    return parser
"""
_MODULES = {
    "vllm": f"__version__ = {VERSION!r}",
    "vllm.platforms": "class current_platform:\n    device_type = 'cpu'",
    "vllm.engine": "",
    "vllm.engine.arg_utils": _ARGUMENTS,
    "vllm.utils": "",
    "vllm.utils.argparse_utils": "from argparse import ArgumentParser as FlexibleArgumentParser",
    "vllm.entrypoints": "",
    "vllm.entrypoints.openai": "",
    "vllm.entrypoints.openai.api_server": "",
    "vllm.entrypoints.launchers": "",
    "vllm.entrypoints.launchers.cli_args": _CLI_ARGUMENTS,
    "vllm.entrypoints.launchers.api_server": "",
}


def make_interpreter(folder: Path) -> Path:
    """Make it below the folder; the path of its python."""
    venv.create(folder, symlinks=True, with_pip=False)
    site = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    for name, text in _MODULES.items():
        package = site / name.replace(".", "/")
        package.mkdir()
        (package / "__init__.py").write_text(text, encoding="utf-8")
    shutil.copy(Path(__file__).parent / "sick_server.py", site / "vllm/entrypoints/launchers/api_server/entry.py")
    facts = site / f"vllm-{VERSION}.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {VERSION}\n", encoding="utf-8")
    return folder / "bin" / "python"
