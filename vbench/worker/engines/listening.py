"""Where an engine's processes listen: on loopback alone as far as vbench can say so, and what it can't is noted.

An engine's ranks find each other over TCP without a key, also where they are on one machine. Gloo binds to the address
that the host's name has, which is the network's on most machines; it can be told the interface. torch's TCPStore, which
vLLM uses for data parallelism, and older versions for any ranks, binds to all addresses and can't be told. NCCL takes
the first interface that isn't loopback; that is left to it, being part of what is measured.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from typing import Any, Dict, List, Mapping, Set, Tuple

from .family import descendants

_INTERFACE = "GLOO_SOCKET_IFNAME"
_LOOPBACK = "lo"
_LISTENING = "0A"  # proc(5), `/proc/net/tcp`
_SEVERAL_MACHINES = ("distributed_executor_backend", "data_parallel_backend")


def keep_on_loopback(engine_args: Mapping[str, Any]) -> None:
    """Have the ranks of one machine meet on loopback, unless the user has said where."""
    is_spread = any(engine_args.get(name) == "ray" for name in _SEVERAL_MACHINES)
    is_spread = is_spread or int(engine_args.get("nnodes") or 1) > 1
    if not is_spread and _INTERFACE not in os.environ and _has_loopback():
        os.environ[_INTERFACE] = _LOOPBACK


def _has_loopback() -> bool:
    try:
        return any(name == _LOOPBACK for _, name in socket.if_nameindex())
    except OSError:
        return False


def listening_notes() -> List[str]:
    """A note where this process, or one that it has started, can be reached from other machines."""
    found = sorted({"{} on {}".format(name, address) for name, address, _ in listeners() if not is_loopback(address)})
    if not found:
        return []
    return [
        "the engine listens beyond loopback, without a key: {}; on a network that you don't trust, put a firewall "
        "before this machine".format(", ".join(found))
    ]


def listeners() -> List[Tuple[str, str, int]]:
    """Name of the process, address and port of every TCP socket on which this process's family listens."""
    sockets = _listening_sockets()
    pids = [os.getpid(), *descendants(os.getpid())]
    return [(_name(pid), *sockets[inode]) for pid in pids for inode in _inodes(pid) & set(sockets)]


def is_loopback(address: str) -> bool:
    """Whether nobody beyond this machine reaches it."""
    one = ipaddress.ip_address(address)
    mapped = getattr(one, "ipv4_mapped", None)
    return bool((mapped or one).is_loopback)


def _listening_sockets() -> Dict[str, Tuple[str, int]]:
    """Address and port by inode."""
    found: Dict[str, Tuple[str, int]] = {}
    for table in ("tcp", "tcp6"):
        try:
            with open("/proc/net/" + table, encoding="ascii") as file:
                lines = file.read().splitlines()[1:]
        except OSError:
            continue  # a kernel without IPv6
        for fields in (line.split() for line in lines):
            if fields[3] == _LISTENING:
                address, _, port = fields[1].partition(":")
                found[fields[9]] = (_address(address), int(port, 16))
    return found


def _address(digits: str) -> str:
    """From the kernel's hexadecimal words of four bytes, each in the machine's order."""
    words = [bytes.fromhex(digits[at : at + 8]) for at in range(0, len(digits), 8)]
    packed = b"".join(word[::-1] if sys.byteorder == "little" else word for word in words)
    return str(ipaddress.ip_address(packed))


def _inodes(pid: int) -> Set[str]:
    found = set()
    folder = "/proc/{}/fd/".format(pid)
    try:
        for name in os.listdir(folder):
            target = os.readlink(folder + name)
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    except OSError:
        pass  # it has ended, or closed the descriptor meanwhile
    return found


def _name(pid: int) -> str:
    try:
        with open("/proc/{}/comm".format(pid), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return "a process"
