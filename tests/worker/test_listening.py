"""Where an engine's processes listen, found by looking at real sockets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import Any

import pytest

from vbench.worker.engines.listening import is_loopback, keep_on_loopback, listeners, listening_notes

CHILD = """
import socket, sys
sock = socket.create_server((sys.argv[1], 0))
print(sock.getsockname()[1], flush=True)
sys.stdin.read()
"""


def test_a_childs_socket_is_found_and_noted() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, "0.0.0.0"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        found, notes = [where[1:] for where in listeners()], listening_notes()
        child.communicate("")

    assert ("0.0.0.0", port) in found
    assert any("listens beyond loopback, without a key" in note and "0.0.0.0" in note for note in notes)
    assert ("0.0.0.0", port) not in [where[1:] for where in listeners()]


@pytest.mark.parametrize(("family", "address"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")])
def test_loopback_is_found_and_not_noted(family: int, address: str) -> None:
    try:
        sock = socket.create_server((address, 0), family=family)
    except OSError as error:
        pytest.skip(f"no {address} here: {error}")
    with sock:
        assert (address, sock.getsockname()[1]) in [where[1:] for where in listeners()]
        assert not any(address in note for note in listening_notes())


@pytest.mark.parametrize(
    ("address", "is_so"),
    [("127.0.0.1", True), ("127.1.2.3", True), ("::1", True), ("::ffff:127.0.0.1", True), ("0.0.0.0", False),
     ("::", False), ("192.0.2.2", False), ("::ffff:192.0.2.2", False)],
)  # fmt: skip
def test_what_is_loopback(address: str, is_so: bool) -> None:
    assert is_loopback(address) is is_so


@pytest.mark.parametrize(
    ("asked", "environment", "then"),
    [
        ({}, {}, "lo"),
        ({"tensor_parallel_size": 2}, {}, "lo"),
        ({}, {"GLOO_SOCKET_IFNAME": "eth7"}, "eth7"),
        ({"distributed_executor_backend": "ray"}, {}, None),
        ({"data_parallel_backend": "ray"}, {}, None),
        ({"nnodes": 2}, {}, None),
    ],
)
def test_ranks_of_one_machine_meet_on_loopback(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], environment: dict[str, str], then: str | None
) -> None:
    monkeypatch.setattr(os, "environ", dict(environment))
    keep_on_loopback(asked)

    assert os.environ.get("GLOO_SOCKET_IFNAME") == then
