"""One answer of an OpenAI-compatible server: what its events hold in, lists of new token ids out."""

from __future__ import annotations

import json
import resource
from typing import Any, Dict, List, Optional

from .http_control import MOST_WORDS, HttpError

_DESCRIPTORS = 65535
# A server that counts more tokens in an answer than any context holds isn't counting.
_MOST_TOKENS = 1 << 25
_SHOWN = 80


class BadAnswer(RuntimeError):
    """What came is no answer to the request."""


def allow_connections() -> None:
    """A request in flight is an open descriptor, here and in the server, which inherits the limit: often 1024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Answer:
    """What has come for one request. `token_ids` are of all its sequences, one after another.

    `most_tokens`: what was asked for at most, all sequences together; an answer with more of them is none.
    """

    def __init__(self, most_tokens: Optional[int] = None) -> None:
        self.input_tokens = 0
        self.finish_reason: Optional[str] = None
        """Why the first sequence ended, in the server's words."""
        self._most_tokens = _MOST_TOKENS if most_tokens is None else most_tokens
        self._num_tokens = 0
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
        if usage:
            self._usage = usage
        new: List[int] = []
        for choice in _choices_of(event):
            sequence = self._sequence(choice)
            ids = choice.get("token_ids")
            if ids is None and usage:  # a version without `return_token_ids` says how many, not which
                ids = [-1] * (_count_of(usage, "completion_tokens", self._most_tokens) - len(sequence))
            if ids:
                self._extend(sequence, ids)
                new.extend(ids)
        return new

    def take_whole(self, response: Dict[str, Any]) -> List[int]:
        """The ids of an answer that came in one piece."""
        for choice in _choices_of(response):
            self._extend(self._sequence(choice), choice.get("token_ids") or [])
        self._usage = response.get("usage")
        return self.token_ids

    def check(self) -> None:
        """Raise unless the server counted what came, to the token."""
        if self._usage is None:
            raise BadAnswer("the server's answer ended without its usage, after {} tokens".format(self._num_tokens))
        self.input_tokens = _count_of(self._usage, "prompt_tokens", _MOST_TOKENS)
        counted = _count_of(self._usage, "completion_tokens", None)
        if counted != self._num_tokens:
            raise BadAnswer("the server counts {} tokens where {} came".format(counted, self._num_tokens))

    def _sequence(self, choice: Any) -> List[int]:
        """That which the choice goes on with; notes why it ended."""
        index = choice.get("index") if isinstance(choice, dict) else None
        if type(index) is not int or not 0 <= index <= self._most_tokens:
            raise BadAnswer("the server's answer has a choice without its number: {}".format(_shown(choice)))
        reason = choice.get("finish_reason")
        if reason is not None and index == 0:
            self.finish_reason = str(reason)[:_SHOWN]
        return self._sequences.setdefault(index, [])

    def _extend(self, sequence: List[int], ids: Any) -> None:
        if type(ids) is not list or not all(type(one) is int for one in ids):
            raise BadAnswer("the server's answer has tokens that are no numbers: {}".format(_shown(ids)))
        self._num_tokens += len(ids)
        if self._num_tokens > self._most_tokens:
            raise BadAnswer("the server sent more than the {} tokens that it was asked for".format(self._most_tokens))
        sequence.extend(ids)


def object_of(data: bytes) -> Dict[str, Any]:
    """The JSON object that the server sent."""
    try:
        found = json.loads(data.decode())
    except (ValueError, RecursionError):
        raise BadAnswer("what the server sent is no JSON: {}".format(_shown(data))) from None
    if not isinstance(found, dict):
        raise BadAnswer("what the server sent is no JSON object: {}".format(_shown(data)))
    return found


def _choices_of(answer: Dict[str, Any]) -> List[Any]:
    choices = answer.get("choices") or []
    if not isinstance(choices, list):
        raise BadAnswer("the server's answer has choices that are no list: {}".format(_shown(choices)))
    return choices


def _count_of(usage: Any, name: str, most: Optional[int]) -> int:
    """A number of tokens in `usage`."""
    count = usage.get(name) if isinstance(usage, dict) else None
    if type(count) is not int or count < 0:
        raise BadAnswer("the server's usage has no {}: {}".format(name, _shown(usage)))
    if most is not None and count > most:
        raise BadAnswer("the server counts {} {}, more than the {} there can be".format(_shown(count), name, most))
    return count


def _shown(value: Any) -> str:
    return repr(value)[:_SHOWN]


def _error_of(said: Any) -> HttpError:
    """What a server said amid its answer: an object with a message and a code, by which not all mean HTTP's."""
    if not isinstance(said, dict):
        return HttpError(500, str(said)[:MOST_WORDS])
    code = said.get("code")
    words = str(said.get("message") or said)[:MOST_WORDS]
    return HttpError(code if isinstance(code, int) and 0 < code < 1000 else 500, words)
