"""The small requests beside the measured ones: is the server up, its counters, its configuration. Loopback only."""

from __future__ import annotations

import http.client
import json
from typing import Any, Dict, Iterator, Optional, Tuple

_HEALTH_TIMEOUT_S = 5.0
_TIMEOUT_S = 120.0


class HttpError(RuntimeError):
    """The server answered, with an error; its own words are the text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__("HTTP {}: {}".format(status, text))
        self.status = status


class Control:
    """Requests to 127.0.0.1, each on a connection of its own."""

    def __init__(self, port: int) -> None:
        self.port = port

    def is_healthy(self) -> bool:
        """Whether `/health` answers 200 now."""
        try:
            self.call("GET", "/health", timeout_s=_HEALTH_TIMEOUT_S)
        except (OSError, http.client.HTTPException, HttpError):
            return False
        return True

    def call(
        self, method: str, path: str, key: str = "", body: Optional[Any] = None, timeout_s: float = _TIMEOUT_S
    ) -> str:
        """The answer's text; HttpError for any status but 200."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = "Bearer " + key
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            text = response.read().decode("utf-8", "replace")
        finally:
            connection.close()
        if response.status != 200:
            raise HttpError(response.status, error_message(text))
        return text

    def find(self, path: str) -> Any:
        """The JSON at the path; None where this server has no such page, or fails to make it."""
        try:
            return json.loads(self.call("GET", path))
        except (HttpError, ValueError):
            return None


def error_message(text: str) -> str:
    """The message within an OpenAI-style error, or the text as it is."""
    try:
        said = json.loads(text)
        said = said.get("error", said)
        return str(said["message"]) if isinstance(said, dict) else str(said)
    except (ValueError, KeyError, AttributeError):
        return text[:2000]


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
