"""The inside of the server's process: the installed vLLM's own OpenAI-compatible server, with the trial's arguments.

What `vllm serve` would run, without its command line: the argparse Namespace of the installed version's own parser,
with attributes set from the engine arguments, so that a value reaches the engine as it does in offline mode. Sources:
vLLM's `launchers.cli_args`, `launchers.api_server.entry` (`openai.cli_args`, `openai.api_server` before 0.30).
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import os
import sys
import traceback
from typing import Any, Dict, List, Tuple

from ..keeper import die_with_parent
from ..protocol import Channel, error_event
from . import vllm_common as common
from .vllm_server_guard import Guard

# (arguments, server), newest first.
_HOMES = (
    ("vllm.entrypoints.launchers.cli_args", "vllm.entrypoints.launchers.api_server.entry"),
    ("vllm.entrypoints.openai.cli_args", "vllm.entrypoints.openai.api_server"),
)
_PARSER_HOMES = ("vllm.utils.argparse_utils", "vllm.utils")
# What the client relies on; a sweep that sets one of these would cut the two apart.
_OURS = ("host", "port", "uds", "api_key", "ssl_keyfile", "ssl_certfile", "root_path", "served_model_name", "model")


def serve(request: Dict[str, Any], fd: int, is_forked: bool) -> int:
    """Serve until told to end. What is raised instead goes to the log and, for the trial to raise, to `fd`.

    `request`: `model`, `engine_args`, `name` (that the model is served under), `port`, `key`, `environment`.
    """
    channel = Channel(fd)
    try:
        os.environ.update(request["environment"])
        os.environ.pop("VLLM_API_KEY", None)  # the guard alone asks for a key: two would have to be the same
        Guard.key = request["key"]
        _spare_system_info()
        if is_forked:
            # Processes forked from here inherit the listening socket: while one lived on, a dead server's port would
            # still take connections, and its client wait for answers.
            os.register_at_fork(after_in_child=lambda: die_with_parent(os.getppid()))
            common.start_processes_by_fork()
            common.count_weights(_Told(channel))
        else:
            os.environ.setdefault("VLLM_WORKER_MULTIPROC_METHOD", "spawn")  # as vLLM's own command line does
        notes = []
        if common.platform() == "cpu":
            wanted = common.parallel_environment(request["engine_args"])
            if is_forked and request["engine_args"].get("speculative_config"):
                # Numba, which looks for n-grams, counted its threads before vLLM bound its worker to few cores: with
                # more threads than cores each step took 0.3 s (2 cores); in a fresh process, and with one, it's 0.01.
                wanted["NUMBA_NUM_THREADS"] = "1"
            notes = common.set_environment(wanted)
        cli_args, server = _homes()
        arguments, translated = server_arguments(cli_args, request)
        channel.send({"event": "notes", "notes": notes + translated})
        _run(cli_args, server, arguments)
    except BaseException as error:  # an interrupt and SystemExit too: both are how a server that can't start ends
        traceback.print_exc()
        sys.stderr.flush()
        channel.send(error_event(error, "load"))
        return 1
    return 0


def preload() -> None:
    """Import what `serve` needs, where the engine is imported anyway."""
    _spare_system_info()  # before it is imported by name
    _homes()


def _homes() -> List[Any]:
    """The modules of the arguments and of the server, wherever this version keeps them."""
    for names in _HOMES[:-1]:
        try:
            return [importlib.import_module(name) for name in names]
        except ModuleNotFoundError as error:
            if not str(error.name).startswith("vllm."):
                raise
    return [importlib.import_module(name) for name in _HOMES[-1]]


def _run(cli_args: Any, server: Any, arguments: Any) -> None:
    validate = getattr(cli_args, "validate_parsed_serve_args", None)
    if validate is not None:
        validate(arguments)
    try:
        import uvloop  # vLLM's own choice, a dependency of it
    except ImportError:
        asyncio.run(server.run_server(arguments))
    else:
        uvloop.run(server.run_server(arguments))


def server_arguments(cli_args: Any, request: Dict[str, Any]) -> Tuple[Any, List[str]]:
    """The Namespace that `vllm serve` would make, defaults of the version, with the trial's arguments in it, and what
    was translated for this version."""
    parser = cli_args.make_arg_parser(_parser_class()())
    arguments = parser.parse_args([])
    engine_args, notes = common.adapted(request["engine_args"], also=vars(arguments))
    for name, value in engine_args.items():
        _set(arguments, name, value)
    if "generation_config" not in engine_args and hasattr(arguments, "generation_config"):  # from 0.6.6
        arguments.generation_config = "vllm"
        notes.append("generation_config=vllm set by vbench: the model's own sampling defaults don't apply")
    arguments.model = request["model"]
    arguments.host, arguments.port = "127.0.0.1", request["port"]
    arguments.served_model_name = [request["name"]]
    guard = Guard.__module__ + "." + Guard.__qualname__
    arguments.middleware = [*(getattr(arguments, "middleware", None) or []), guard]  # the last is the outermost
    quiet = {"enable_log_requests": False, "disable_log_requests": True, "disable_uvicorn_access_log": True}
    for name, value in quiet.items():  # a line for every request would cost throughput and bury the log's causes
        if hasattr(arguments, name):
            setattr(arguments, name, value)
    return arguments, notes


def _parser_class() -> Any:
    for name in _PARSER_HOMES:
        try:
            return importlib.import_module(name).FlexibleArgumentParser
        except (ImportError, AttributeError):
            continue
    raise ImportError("this vLLM has no FlexibleArgumentParser in " + " or ".join(_PARSER_HOMES))


def _set(arguments: Any, name: str, value: Any) -> None:
    if name in _OURS:
        raise ValueError("argument {!r} can't be set in server mode: vbench's client relies on it".format(name))
    if not hasattr(arguments, name):
        # In the words of offline mode, so that both ways of calling fail alike.
        raise TypeError("EngineArgs.__init__() got an unexpected keyword argument {!r}".format(name))
    default = getattr(arguments, name)
    if isinstance(value, dict) and dataclasses.is_dataclass(default) and not isinstance(default, type):
        value = type(default)(**value)  # as the parser itself turns JSON into such a section
    setattr(arguments, name, value)


class _Told:
    """Where weights are counted in processes that the server forks: on the channel, which they inherit."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def append(self, weights_bytes: int) -> None:
        self._channel.send({"event": "weights", "pid": os.getpid(), "bytes": weights_bytes})


class _NoSystemInfo:
    def _asdict(self) -> Dict[str, Any]:
        return {}


def _spare_system_info() -> None:
    """`/server_info` would run compilers and package tools for two seconds to describe a machine that is known."""
    try:
        collect_env = importlib.import_module("vllm.collect_env")
    except ImportError:  # a version without the page
        return
    collect_env.get_env_info = _NoSystemInfo  # type: ignore[attr-defined]
