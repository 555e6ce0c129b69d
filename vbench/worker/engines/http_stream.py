"""One answer of an OpenAI-compatible server: what its events hold in, lists of new token ids out."""

from __future__ import annotations

import resource
from typing import Any, Dict, List, Optional

from .http_control import HttpError

_DESCRIPTORS = 65535


def allow_connections() -> None:
    """A request in flight is an open descriptor, here and in the server, which inherits the limit: often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Answer:
    """What has come for one request. `token_ids` are of all its sequences, one after another."""

    def __init__(self) -> None:
        self.input_tokens = 0
        self.finish_reason: Optional[str] = None
        """Why the first sequence ended, in the server's words."""
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
            raise _error_of(event["error"])
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
            reason = choice.get("finish_reason")
            if reason is not None and choice["index"] == 0:
                self.finish_reason = reason
        if usage:
            self._usage = usage
        return new

    def take_whole(self, response: Dict[str, Any]) -> List[int]:
        """The ids of an answer that came in one piece."""
        for choice in response["choices"]:
            self._sequences[choice["index"]] = list(choice.get("token_ids") or ())
            if choice["index"] == 0:
                self.finish_reason = choice.get("finish_reason")
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


def _error_of(said: Any) -> HttpError:
    """What a server said amid its answer: an object with a message and a code, by which not all mean HTTP's."""
    if not isinstance(said, dict):
        return HttpError(500, str(said))
    code = said.get("code")
    return HttpError(code if isinstance(code, int) and code else 500, str(said.get("message") or said))
