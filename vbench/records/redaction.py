"""What of a trial's environment variables is stored: results are made to be shown to others."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSWORD|API_?KEY|AUTHORIZATION|CREDENTIAL", re.IGNORECASE)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by name; the value of one whose name says that it is a secret is `***`.

    >>> without_secrets({"HF_TOKEN": "hf_abc", "OMP_NUM_THREADS": "1"})
    {'HF_TOKEN': '***', 'OMP_NUM_THREADS': '1'}
    """
    return {name: "***" if _SECRET_NAME.search(name) else value for name, value in environment.items()}
