"""What children the fake engine leaves, loses or can't get rid of, when it is told to (`misbehaviours`)."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Callable, Dict, List

LIFE_S = 600
"""After so long each ends by itself: no test leaves one for good."""
_SLEEP = "import time; time.sleep({})".format(LIFE_S)
_DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep({})".format(
        LIFE_S
    )
)
_TWICE = "import os, time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\ntime.sleep({})".format(
    LIFE_S
)
# Two that wait for each other's end: whichever is killed, the other starts it anew.
_RESPAWN = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
end = time.monotonic() + {}
while time.monotonic() < end:
    parent, child = os.getpid(), os.fork()
    if child:
        os.waitpid(child, 0)
        continue
    os.setsid()
    while os.getppid() == parent and time.monotonic() < end:
        time.sleep(0.002)
""".format(LIFE_S)
# One that is another process each moment, in another session: its parent has ended by the time that one looks.
_CHAIN = """
import os, time
end = time.monotonic() + {}
while time.monotonic() < end:
    if os.fork():
        os._exit(0)
    os.setsid()
""".format(LIFE_S)


def _start(program: str, own_session: bool = False) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-S", "-c", program], start_new_session=own_session)


def _leave_child(_: str) -> None:
    """A child in a session of its own, which no group kill reaches."""
    _start(_SLEEP, own_session=True)


def _leave_deaf_child(_: str) -> None:
    """One that ignores SIGTERM, in the trial's own group; it is deaf when this returns."""
    child = subprocess.Popen([sys.executable, "-S", "-c", _DEAF], stdout=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.readline()


def _leave_grandchild(_: str) -> None:
    """A daemon: forked twice, in a session that its parent made."""
    _start(_TWICE).wait()


def _leave_children(text: str) -> None:
    """So many."""
    for _ in range(int(text or 20)):
        _start(_SLEEP, own_session=True)


def _leave_marked_anew(_: str) -> None:
    """One that carries none of our variables."""
    subprocess.Popen([sys.executable, "-S", "-c", _SLEEP], start_new_session=True, env={})


def _respawn(_: str) -> None:
    _start(_RESPAWN, own_session=True)


def _fork_chain(_: str) -> None:
    _start(_CHAIN, own_session=True).wait()


def _kill_child(_: str) -> None:
    """A child is killed, as by the kernel for want of memory, and the engine says so as vLLM does."""
    child = _start(_SLEEP)
    child.send_signal(signal.SIGKILL)
    child.wait()
    raise RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {}")


def _eat_in_child(text: str) -> None:
    """A child that takes memory, so many MiB at a time, until it is ended; then the engine raises."""
    program = "kept = []\nwhile True: kept.append(bytearray(b'1') * ({} << 20))".format(int(text or 16))
    status = _start(program).wait()
    raise RuntimeError("Worker proc VllmWorker-0 died unexpectedly (status {})".format(status))


def _listen(_: str) -> None:
    """A child in a session of its own that listens on a port of loopback."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    listener.set_inheritable(True)
    program = "import time; time.sleep({})".format(LIFE_S)
    subprocess.Popen([sys.executable, "-S", "-c", program], start_new_session=True, pass_fds=[listener.fileno()])


def _leak_socket(_: str) -> None:
    """A socket's file among the temporary ones, as ZMQ's."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.path.join(tempfile.gettempdir(), "socket-{}".format(time.monotonic_ns())))
    _KEPT.append(listener)


_KEPT: List[socket.socket] = []

CHILDREN: Dict[str, Callable[[str], None]] = {
    "leave_child": _leave_child,
    "leave_deaf_child": _leave_deaf_child,
    "leave_grandchild": _leave_grandchild,
    "leave_children": _leave_children,
    "leave_unmarked": _leave_marked_anew,
    "respawn": _respawn,
    "fork_chain": _fork_chain,
    "kill_child": _kill_child,
    "eat_in_child": _eat_in_child,
    "listen": _listen,
    "leak_socket": _leak_socket,
}
