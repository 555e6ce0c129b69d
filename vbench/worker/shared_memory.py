"""Shared memory that trials leave in /dev/shm: noted as it appears, removed once the trial has ended.

An engine that is killed, and some that end as they should, leave it there until the machine is started anew, and a file
there doesn't say whose it is. So the kernel tells of each new name (inotify(7)), and a look at what the processes below
this one have mapped says at once whether it is theirs. Nothing that another program made is ever removed.

What was noted stands in a file among the keeper's temporary ones too (`NOTES`: inode and name, a line each): should the
keeper be killed, whoever removes those removes that memory as well.
"""

from __future__ import annotations

import os
import struct
import time
from typing import Dict, List, Optional, Set

from .adopting import LIBC, descendants

FOLDER = "/dev/shm"  # noqa: S108 -- nothing is made there
NOTES = "shared-memory"
_IN_CREATE, _IN_MOVED_TO = 0x100, 0x80
_EVENT = struct.Struct("iIII")
_MAX_READ = 1 << 16
_MOST_LOOKS = 5  # an entry that none of ours maps by then is another program's
_PAUSE_S = 0.005  # between looks for the same entry
_AGAIN_S, _MOST_AGAIN_S = 0.05, 5.0  # between tries to remove what somebody mapped still
_SHARE, _MOST_CREDIT_S = 0.05, 1.0  # of the time that looks may take, and what of it can be saved: others may make many


class SharedMemory:
    """Watches the folder. `fd` is readable when something has appeared there; -1 where the kernel can't tell."""

    def __init__(self) -> None:
        self.fd = _watch()
        self._new: Dict[str, int] = {}  # name → how often it was looked for
        self._noted: Dict[str, int] = {}  # name → inode
        self._next_look = 0.0
        self._credit_s, self._credit_t = _MOST_CREDIT_S, time.monotonic()
        self._again_s, self._again_t = _AGAIN_S, 0.0

    def pause_s(self, is_idle: bool) -> Optional[float]:
        """How long to wait until the next look, or where no trial runs (`is_idle`) the next try to remove what is left;
        None where the folder says when."""
        now = time.monotonic()
        waits = []
        if self.fd >= 0 and (self._new or self._next_look > now):
            waits.append(self._next_look - now)
        if is_idle and self._noted:
            waits.append(self._again_t - now)
        return max(0.0, min(waits)) if waits else None

    def is_left(self) -> bool:
        """Whether it is time to try once more to remove what somebody mapped still: whoever did may not have been below
        this process, which then hears nothing of its end."""
        return bool(self._noted) and time.monotonic() >= self._again_t

    def is_due(self) -> bool:
        """Whether what appeared may be asked for now."""
        return self.fd >= 0 and time.monotonic() >= self._next_look

    def look(self, is_last: bool = False) -> None:
        """Note what is new and mapped by a process below this one. The last look can't wait."""
        if self.fd < 0 or not (is_last or self.is_due()):
            return
        self._read_names()
        if not self._new:
            return
        start = time.monotonic()
        mapped = _mapped([os.getpid(), *descendants(os.getpid())])
        for name in list(self._new):
            inode = _inode(name)
            if inode is not None and inode in mapped:
                self._note(name, inode)
            self._new[name] += 1
            if inode is None or name in self._noted or self._new[name] >= _MOST_LOOKS:
                del self._new[name]
        self._pay(start, time.monotonic())

    def _pay(self, start: float, now: float) -> None:
        """Each name is looked for at once, as whoever made it may be killed: until the credit is used up."""
        earned_s = _SHARE * (now - self._credit_t)
        self._credit_s = min(_MOST_CREDIT_S, self._credit_s + earned_s) - (now - start)
        self._credit_t = now
        owed_s = max(0.0, -self._credit_s) / _SHARE
        self._next_look = now + (max(_PAUSE_S, owed_s) if self._new else owed_s)

    def remove(self, is_end: bool = False) -> None:
        """Remove what was noted and nobody maps any more; at the end what this process maps too."""
        own = os.getpid()
        left = self._left([*([] if is_end else [own]), *descendants(own)]) if self._noted else {}
        if left:  # other programs may have it too, by a name that was told or is always the same
            everybody = map(int, filter(str.isdigit, os.listdir("/proc")))
            left = self._left([pid for pid in everybody if pid != own or not is_end])
        for name, inode in left.items():
            del self._noted[name]
            if _inode(name) == inode:
                try:
                    os.unlink(os.path.join(FOLDER, name))
                except OSError:
                    pass  # gone meanwhile
        self._again_t = time.monotonic() + self._again_s
        self._again_s = min(2 * self._again_s, _MOST_AGAIN_S)

    def _left(self, pids: List[int]) -> Dict[str, int]:
        """What was noted and none of these processes maps."""
        mapped = _mapped(pids)
        return {name: inode for name, inode in self._noted.items() if inode not in mapped}

    def close(self) -> None:
        """Stop watching, as a child of the keeper must."""
        if self.fd >= 0:
            os.close(self.fd)

    def _note(self, name: str, inode: int) -> None:
        self._noted[name] = inode
        self._again_s = _AGAIN_S
        folder = own_temp_folder()
        if folder is None:
            return
        try:
            with open(os.path.join(folder, NOTES), "ab") as file:
                file.write("{} {}\n".format(inode, name).encode(errors="surrogateescape"))
        except OSError:
            pass  # it is still known here

    def _read_names(self) -> None:
        try:
            data = os.read(self.fd, _MAX_READ)
        except OSError:
            return  # nothing new
        at = 0
        while at < len(data):
            _, _, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size + length
            name = os.fsdecode(data[at - length : at].rstrip(b"\0"))
            if name:
                self._new.setdefault(name, 0)


def own_temp_folder() -> Optional[str]:
    """The keeper's folder of temporary files, where vbench gave it one."""
    folder = os.environ.get("TMPDIR", "")
    return folder if is_temp_folder(folder) else None


def is_temp_folder(path: str) -> bool:
    """Whether a path is a folder that vbench made for temporary files."""
    return os.path.basename(path).startswith("vbench-")


def _watch() -> int:
    fd = int(LIBC.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
    if fd >= 0 and LIBC.inotify_add_watch(fd, FOLDER.encode(), _IN_CREATE | _IN_MOVED_TO) < 0:
        os.close(fd)
        fd = -1
    return fd


def _inode(name: str) -> Optional[int]:
    try:
        return os.lstat(os.path.join(FOLDER, name)).st_ino
    except (OSError, ValueError):
        return None


def _mapped(pids: List[int]) -> Set[int]:
    """The inodes of the folder's files that processes have mapped. A semaphore's is mapped under an earlier name."""
    found: Set[int] = set()
    place = (" " + FOLDER + "/").encode()
    for pid in pids:
        try:
            with open("/proc/{}/maps".format(pid), "rb") as file:
                found.update(int(line.split(None, 5)[4]) for line in file if place in line)
        except OSError:
            continue  # it has ended
    return found
