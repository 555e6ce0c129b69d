"""The small requests beside the measured ones: is the server up, its counters, its configuration. Loopback only."""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
from typing import Any, Dict, Iterator, Optional, Tuple

from .vllm_server_guard import NONCE, PROOF, proof_of

_HEALTH_TIMEOUT_S = 5.0
_TIMEOUT_S = 120.0
# Of an answer: a large model's log-probabilities of a long text are some MB. Of an error's words: what a record needs.
_MOST_BYTES, MOST_WORDS = 1 << 28, 8000


class HttpError(RuntimeError):
    """The server answered, with an error; its own words are the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__("HTTP {}: {}".format(status, text))
        self.status = status


class Control:
    """Requests to 127.0.0.1, each on a connection of its own, all with the key."""

    def __init__(self, port: int, key: str = "") -> None:
        self.port, self._key = port, key

    def is_ours(self) -> Optional[bool]:
        """Whether what answers there now has the key, which it isn't told (`vllm_server_guard`); None: nothing does."""
        nonce = secrets.token_hex(16)
        try:
            _, headers, _ = self._exchange("GET", "/health", {NONCE: nonce}, timeout_s=_HEALTH_TIMEOUT_S)
        except OSError:
            return None
        except http.client.HTTPException:
            return False
        return hmac.compare_digest((headers.get(PROOF) or "").encode(), proof_of(self._key, nonce).encode())

    def health_problem(self) -> Optional[str]:
        """What `/health` says unless it is 200."""
        try:
            self.call("GET", "/health", timeout_s=_HEALTH_TIMEOUT_S)
        except (OSError, http.client.HTTPException, HttpError) as error:
            return str(error) or type(error).__name__
        return None

    def call(self, method: str, path: str, body: Optional[Any] = None, timeout_s: float = _TIMEOUT_S) -> str:
        """The answer's text; HttpError for any status but 200."""
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = "Bearer " + self._key
        status, _, text = self._exchange(method, path, headers, body, timeout_s)
        if status != 200:
            raise HttpError(status, without_key(error_message(text), self._key))
        return text

    def _exchange(
        self,
        method: str,
        path: str,
        headers: Dict[str, str],
        body: Optional[Any] = None,
        timeout_s: float = _TIMEOUT_S,
    ) -> Tuple[int, Any, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            data = response.read(_MOST_BYTES)
            if len(data) == _MOST_BYTES:
                raise OSError("the server's answer to {} has no end: {} MiB came".format(path, _MOST_BYTES >> 20))
            if response.length:  # what is still to come of as many bytes as it said
                raise ConnectionError("the server closed the connection before its answer's end")
        finally:
            connection.close()
        return response.status, response.headers, data.decode("utf-8", "replace")

    def find(self, path: str) -> Dict[str, Any]:
        """The JSON object at the path; empty where this server has no such page, or fails to make it."""
        try:
            found = json.loads(self.call("GET", path))
        except (HttpError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


def without_key(text: str, key: str) -> str:
    """A server may say what it was asked, and with it the key."""
    return text.replace(key, "[key]") if key else text


def error_message(text: str) -> str:
    """The message within an OpenAI-style error, or the text as it is; of a long one the beginning."""
    try:
        said = json.loads(text)
        said = said.get("error", said)
        text = str(said["message"]) if isinstance(said, dict) else str(said)
    except (ValueError, KeyError, AttributeError, RecursionError):
        pass
    return text[:MOST_WORDS] or "(without a word)"


def samples(exposition: str) -> Iterator[Tuple[str, Dict[str, str], float]]:
    """Name, labels and value of every sample in Prometheus' text format. Label values here hold no quotes or commas
    that matter: only the names' ends and simple labels are used."""
    for line in exposition.splitlines():
        if not line or line.startswith("#"):
            continue
        series, _, value = line.rpartition(" ")
        name, _, labels = series.partition("{")
        try:
            yield name, _labels(labels.rstrip("}")), float(value)
        except ValueError:
            continue


def _labels(text: str) -> Dict[str, str]:
    pairs = (part.partition("=") for part in text.split('",'))
    return {name.strip(): value.strip().strip('"') for name, _, value in pairs if name.strip()}
