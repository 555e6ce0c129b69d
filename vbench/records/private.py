"""Files that only their owner can read, where that is asked for: prompts, logs and reports may be nobody else's."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_NAME = "VBENCH_PRIVATE"
_OWNER_ONLY = 0o077


def make_private() -> None:
    """From now on this process, and all that it starts, makes files with mode 0600 and folders with 0700."""
    os.umask(_OWNER_ONLY)
    os.environ[_NAME] = "1"


def close_to_others(folder: Path) -> None:
    """Shut a folder that was made before, where that is asked for: its files may have been made readable for all."""
    if os.environ.get(_NAME) == "1":
        with suppress(OSError):  # another's: its modes are theirs to choose
            folder.chmod(0o700)
