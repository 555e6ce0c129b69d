"""The door of the server's process: whoever has no key gets no page, whichever it is.

vLLM's own key guards the paths below `/v1` and a few more. The pages of its development mode, which the client needs,
and `/invocations`, `/tokenize`, `/metrics` and the rest answer anybody who can reach the port, and on loopback that is
every user of the machine. So this stands before all of them, as the last of the server's ASGI middlewares, which is
the outermost. The key is in this process's memory alone: in no argument, no variable and no log.

A server also shows whose it is: asked with a nonce, it answers with what only a holder of the key can make of it.
Otherwise another program that took the port meanwhile would be sent the prompts, and measured.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Awaitable, Callable, Dict, List, Tuple

NONCE, PROOF = "x-vbench-nonce", "x-vbench-proof"
_LONGEST_NONCE = 64
_REFUSAL = b'{"error": {"message": "this server wants the key of its benchmark", "code": 401}}'

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]


def proof_of(key: str, nonce: str) -> str:
    """What a holder of the key answers to the nonce."""
    return hmac.new(key.encode(), nonce.encode(), hashlib.sha256).hexdigest()


class Guard:
    """An ASGI middleware, made by the server from its import path. `key` is set before."""

    key = ""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._has_key(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            headers = [(b"content-type", b"application/json"), *self._proof(scope)]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": _REFUSAL})

    def _has_key(self, scope: Dict[str, Any]) -> bool:
        wanted = b"Bearer " + self.key.encode()
        said = _value_of(scope, b"authorization")
        return bool(self.key) and hmac.compare_digest(said, wanted)

    def _proof(self, scope: Dict[str, Any]) -> List[Tuple[bytes, bytes]]:
        nonce = _value_of(scope, NONCE.encode())
        if not nonce or len(nonce) > _LONGEST_NONCE:
            return []
        return [(PROOF.encode(), proof_of(self.key, nonce.decode("latin-1")).encode())]


def _value_of(scope: Dict[str, Any], wanted: bytes) -> bytes:
    """A header's value, of several the first; names are in lower case."""
    return next((value for name, value in scope.get("headers") or () if name == wanted), b"")
