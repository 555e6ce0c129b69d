"""vLLM as a server: its OpenAI-compatible HTTP server on loopback, measured over HTTP as `vllm bench serve` would.

The server is a child of the trial's process, which is only the client: nothing of the engine lives in it. Readings of
the engine come from the server's own pages: `/metrics`, `/server_info`, `/openapi.json`.
"""

from __future__ import annotations

import json
import sys
import time
from http.client import HTTPException
from typing import Any, Dict, List, Optional, Tuple

from ..load import add_tpot
from . import vllm_common as common
from .base import Engine, PassResult, Scores, Work
from .http_connections import Connections
from .http_control import HttpError
from .http_load import drive
from .http_stream import Answer, allow_connections, object_of
from .listening import listening_notes
from .vllm_facts import facts_of
from .vllm_scoring import cut_ids, scores_of
from .vllm_server_metrics import cache_facts, counters_of
from .vllm_server_process import SERVED_NAME, PortInUse, ServerProcess
from .vllm_server_requests import COMPLETIONS, Fields, bodies, fields_of, most_tokens

_DEATH_PATIENCE_S = 1.0
_STARTS = 3
_NO_ANSWER = (OSError, HTTPException)


class VllmServer(Engine):
    """`vllm serve`, and a client that streams from it."""

    is_fork_safe_on = ("cpu",)

    def __init__(self) -> None:
        self._server: Optional[ServerProcess] = None
        self._connections: Optional[Connections] = None
        self._fields: Fields = {}
        self._asked: Tuple[Any, Any] = (None, None)
        self._bodies: List[Tuple[str, bytes]] = []
        self._adapters: Dict[str, str] = {}

    def describe(self) -> Dict[str, Any]:
        from .vllm_describe import describe

        return describe()

    def preload(self) -> None:
        # A forked trial has the engine from its keeper, and its server forks from it. Otherwise the server is a fresh
        # process that imports vLLM itself, and this one, only the client, stays small.
        if "vllm" in sys.modules:
            from .vllm_server_child import preload

            preload()

    def platform(self) -> str:
        return common.platform()

    def load(self, model: str, engine_args: Dict[str, Any], is_forked: bool) -> Dict[str, Any]:
        arguments = {"disable_log_stats": False, **engine_args}
        allow_connections()  # the server's own attempt at that gives up where it can't have 65,535
        notes = self._start(model, arguments, _environment(engine_args), is_forked)
        self._fields = fields_of(self._find("/openapi.json"))
        facts = self._facts()
        facts["notes"] = [*notes, *facts["notes"], *listening_notes()]
        return facts

    def _start(self, model: str, arguments: Dict[str, Any], environment: Dict[str, str], is_forked: bool) -> List[str]:
        """Start the server, again where it met a port in use: that is nothing of the configuration's. Notes of it."""
        notes: List[str] = []
        while True:
            self._server = ServerProcess(model, arguments, environment, is_forked)
            try:
                self._server.wait_ready()
                return notes
            except PortInUse as error:
                self._server.end()
                if len(notes) == _STARTS - 1:
                    raise
                notes.append("the server was started again, as a port was in use: {}".format(error))
                print("vbench: " + notes[-1], flush=True)

    def _find(self, path: str) -> Dict[str, Any]:
        """A page that this version may lack."""
        assert self._server is not None
        try:
            return self._server.control.find(path)
        except _NO_ANSWER:
            self._server.raise_if_dead(patience_s=_DEATH_PATIENCE_S)
            raise

    def _facts(self) -> Dict[str, Any]:
        """What the server's own pages, and its processes, say took effect."""
        assert self._server is not None
        config = self._find("/server_info?config_format=json").get("vllm_config")
        facts: Dict[str, Any] = facts_of(config) if isinstance(config, dict) else {}  # text only, before 0.12
        for name, value in cache_facts(self._call("GET", "/metrics")).items():
            if facts.get(name) is None:
                facts[name] = value
        facts["version"] = self._find("/version").get("version")
        facts["weights_bytes"] = _of_fullest_process(self._server.said("weights"))
        facts["notes"] = [note for one in self._server.said("notes") for note in one["notes"]]
        return facts

    def prepare(self, prompts: List[Dict[str, Any]]) -> List[Any]:
        return prompts  # chat templates and tokenizing are the server's work, as for any client of it

    def generate(self, prompts: List[Any], work: Work) -> PassResult:
        assert self._server is not None
        if self._asked[0] is not prompts or self._asked[1] is not work:
            # The same in every pass of a trial: writing them down isn't what is measured.
            self._asked, self._bodies = (prompts, work), bodies(prompts, work, self._fields)
            self._load_adapters(work.lora_modules)
        answers = [Answer(most) for most in most_tokens(work, len(prompts))]
        is_streamed = "beam_width" not in work.sampling
        if self._connections is None:
            self._connections = Connections(self._server.port, self._server.key)
        try:
            result = drive(self._connections, self._bodies, work, answers, is_streamed, self.on_tokens)
        except Exception as error:
            if not isinstance(error.__cause__, HttpError):  # no answer: its end comes a moment after its connections'
                self._server.raise_if_dead(patience_s=_DEATH_PATIENCE_S)
            raise
        result.input_tokens = [answer.input_tokens for answer in answers]
        result.token_ids = [answer.token_ids for answer in answers]
        result.finish_reasons = [answer.finish_reason for answer in answers]
        result.given_tokens = common.given_tokens(prompts)  # of a conversation the server alone knows them
        add_tpot(result, [answer.longest for answer in answers])
        if not is_streamed:
            result.ttft_s = result.tpot_s = result.itl_s = None
        return result

    def score(self, texts: List[str], most_tokens: int) -> Scores:
        cut = []
        for text in texts:
            said = json.loads(self._call("POST", "/tokenize", {"model": SERVED_NAME, "prompt": text}))
            cut.append(cut_ids(said["tokens"], most_tokens, int(said["max_model_len"])))
        body = {"model": SERVED_NAME, "max_tokens": 1, "temperature": 0.0, "prompt_logprobs": 0}
        found = []
        for ids, _ in cut:
            answer = json.loads(self._call("POST", COMPLETIONS, dict(body, prompt=ids)))
            found.append(answer["choices"][0]["prompt_logprobs"])
        return scores_of(cut, found)

    def _load_adapters(self, adapters: Dict[str, str]) -> None:
        for name, path in adapters.items():
            if self._adapters.get(name) != path:
                self._call("POST", "/v1/load_lora_adapter", {"lora_name": name, "lora_path": path})
                self._adapters[name] = path

    def _call(self, method: str, path: str, body: Optional[Any] = None) -> str:
        assert self._server is not None
        try:
            return self._server.control.call(method, path, body)
        except _NO_ANSWER:
            self._server.raise_if_dead(patience_s=_DEATH_PATIENCE_S)
            raise

    def counters(self) -> Dict[str, float]:
        return counters_of(self._call("GET", "/metrics"))

    def reset_prefix_cache(self) -> Optional[bool]:
        deadline = time.monotonic() + common.RESET_PATIENCE_S
        while True:
            try:
                answer = self._call("POST", "/reset_prefix_cache")
            except HttpError as error:
                if error.status in (404, 405):  # before 0.7
                    return None
                raise
            if not answer or object_of(answer.encode()).get("success"):  # older versions say nothing
                return True
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)

    def close(self) -> None:
        if self._connections is not None:
            self._connections.close()
        if self._server is not None:
            self._server.end()


def _environment(engine_args: Dict[str, Any]) -> Dict[str, str]:
    """What only the server's process gets. Pages of the development mode are on loopback only, as all of it."""
    environment = {"VLLM_SERVER_DEV_MODE": "1"}  # /reset_prefix_cache, /server_info
    if engine_args.get("enable_lora"):
        environment["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] = "1"  # /v1/load_lora_adapter
    return environment


def _of_fullest_process(counts: List[Dict[str, Any]]) -> Optional[int]:
    """As a GPU's log says it for one rank. None where nothing was counted: in spawned processes, on GPUs."""
    totals: Dict[int, int] = {}
    for one in counts:
        totals[one["pid"]] = totals.get(one["pid"], 0) + one["bytes"]
    return max(totals.values(), default=0) or None
