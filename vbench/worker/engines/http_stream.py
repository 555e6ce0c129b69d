"""One streamed answer of an OpenAI-compatible server: server-sent events in, lists of new token ids out.

The client runs beside the server it measures, so it does per token only what counting needs: one `json.loads` an event.
"""

from __future__ import annotations

import json
import resource
from typing import Any, AsyncIterator, Dict, List, Optional

import aiohttp

from .http_control import HttpError, error_message

_DATA = b"data: "
_DONE = b"[DONE]"
# Below the 5 s after which vLLM closes idle connections, so that none is reused at the moment it is closed.
_KEEP_ALIVE_S = 2.0
_DESCRIPTORS = 65535


def allow_connections() -> None:
    """A request in flight is an open descriptor, here and in the server, which inherits the limit: often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def open_session(port: int, key: str) -> aiohttp.ClientSession:
    """A session with no limit of connections and no time limit: both are the trial's to set. Needs a running loop."""
    return aiohttp.ClientSession(
        base_url="http://127.0.0.1:{}".format(port),
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"Authorization": "Bearer " + key, "Content-Type": "application/json"},
        trust_env=False,  # a proxy of the environment isn't for loopback
    )


class Answer:
    """What has come for one request. `token_ids` are of all its sequences, one after another."""

    def __init__(self) -> None:
        self.input_tokens = 0
        self._sequences: Dict[int, List[int]] = {}
        self._usage: Optional[Dict[str, Any]] = None

    @property
    def token_ids(self) -> List[int]:
        return [token for index in sorted(self._sequences) for token in self._sequences[index]]

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence: they are made side by side, so these took the time that the answer took."""
        return max((len(ids) for ids in self._sequences.values()), default=0)

    def take(self, event: Dict[str, Any]) -> List[int]:
        """The ids that this event brings; raises for an error that the server sent amid the stream."""
        if "error" in event:
            raise HttpError(int(event["error"].get("code") or 500), str(event["error"].get("message")))
        usage = event.get("usage")
        new: List[int] = []
        for choice in event.get("choices") or ():
            sequence = self._sequences.setdefault(choice["index"], [])
            ids = choice.get("token_ids")
            if ids is None and usage:  # a version without `return_token_ids` says how many, not which
                ids = [-1] * (usage["completion_tokens"] - len(sequence))
            if ids:
                sequence.extend(ids)
                new.extend(ids)
        if usage:
            self._usage = usage
        return new

    def take_whole(self, response: Dict[str, Any]) -> List[int]:
        """The ids of an answer that came in one piece."""
        for choice in response["choices"]:
            self._sequences[choice["index"]] = list(choice.get("token_ids") or ())
        self._usage = response["usage"]
        return self.token_ids

    def check(self) -> None:
        """Raise unless the server counted what came, to the token."""
        counted = sum(len(ids) for ids in self._sequences.values())
        if self._usage is None:
            raise RuntimeError("the server's answer ended without its usage, after {} tokens".format(counted))
        self.input_tokens = int(self._usage["prompt_tokens"])
        if int(self._usage["completion_tokens"]) != counted:
            raise RuntimeError(
                "the server counts {} tokens where {} came".format(self._usage["completion_tokens"], counted)
            )


async def stream(session: aiohttp.ClientSession, path: str, body: bytes, answer: Answer) -> AsyncIterator[List[int]]:
    """Send the request and give each event's token ids as it comes; events without any are left out."""
    async with session.post(path, data=body) as response:
        if response.status != 200:
            raise HttpError(response.status, error_message(await response.text()))
        rest = b""
        async for data in response.content.iter_any():
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                if event.startswith(_DATA) and not event.endswith(_DONE):
                    ids = answer.take(json.loads(event[len(_DATA) :]))
                    if ids:
                        yield ids
    answer.check()


async def whole(session: aiohttp.ClientSession, path: str, body: bytes, answer: Answer) -> AsyncIterator[List[int]]:
    """As `stream`, for what the server doesn't stream (beam search): everything in one piece."""
    async with session.post(path, data=body) as response:
        text = await response.text()
        if response.status != 200:
            raise HttpError(response.status, error_message(text))
    ids = answer.take_whole(json.loads(text))
    yield ids
    answer.check()
