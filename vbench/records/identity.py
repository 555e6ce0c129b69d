"""Whose a run folder is: the mark that its processes carry, and whether the folder is the one that got it.

A folder that was copied has the original's `run.json`. Were both gone on with under one mark, each would end the
other's processes as what a killed session left; so a copy gets a mark of its own before anything is started from it.
"""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Mapping
from typing import Any

from vbench.errors import StoreError
from vbench.records.disk import advice_on
from vbench.records.runs import RunFolder, read_json, write_json_atomic

_COPIED = "this run folder was copied, or its disk mounted anew: what may still run for the one it was is let be"
_RUN_UID = re.compile(r"[0-9a-f]{32}", re.ASCII)


def new_identity(run: RunFolder) -> dict[str, Any]:
    """What `run.json` says of a new run: `run_uid` and `folder_inode`. Raises StoreError."""
    return {"run_uid": uuid.uuid4().hex, "folder_inode": _inode(run)}


def uid_of(facts: Mapping[str, Any]) -> str:
    """The run's own mark, by which its processes are found and ended. Raises StoreError for a `run.json` that names
    something else: a shorter one would be found in other processes too."""
    uid = facts.get("run_uid")
    if not isinstance(uid, str) or not _RUN_UID.fullmatch(uid):
        raise StoreError("run.json has no sound `run_uid`: it isn't as vbench wrote it; --new starts a new run")
    return uid


def first_uid(facts: Mapping[str, Any]) -> str | None:
    """The id under which the run began, which its copies have too; None where there is none."""
    uid = facts.get("copy_of") or facts.get("run_uid")
    return str(uid) if uid else None


def own_facts(run: RunFolder) -> tuple[dict[str, Any], list[str]]:
    """What `run.json` says, with a mark that is this folder's alone, and notes on that. Raises StoreError.

    A folder that was moved keeps its inode on one disk, and so its mark. The run's lock must be held.
    """
    facts = read_json(run.run_json)
    uid, inode = uid_of(facts), _inode(run)
    if facts.get("folder_inode") in (None, inode):
        return {**facts, "folder_inode": inode}, []
    facts |= {**new_identity(run), "copy_of": first_uid(facts) or uid}
    write_json_atomic(run.run_json, facts)
    return facts, [_COPIED]


def _inode(run: RunFolder) -> int:
    try:
        return os.stat(run.path).st_ino
    except OSError as error:
        raise StoreError(f"{run.path} can't be read: {advice_on(error)}") from error
