"""What of a trial's environment variables is stored: results are made to be shown to others."""

from __future__ import annotations

import re
from collections.abc import Mapping

HIDDEN = "***"
# Not TOKENIZERS_PARALLELISM or …_MAX_TOKENS: those are settings.
_SECRET_NAME = re.compile(
    r"TOKEN(?!S|IZ)|SECRET|PASSW(OR)?D|PASSPHRASE|(API|ACCESS|PRIVATE)_?KEY|AUTHORIZATION|CREDENTIAL", re.IGNORECASE
)


def without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables by name; the value of one whose name says that it is a secret is `***`.

    >>> without_secrets({"HF_TOKEN": "hf_abc", "OMP_NUM_THREADS": "1"})
    {'HF_TOKEN': '***', 'OMP_NUM_THREADS': '1'}
    >>> without_secrets({"TOKENIZERS_PARALLELISM": "false"})
    {'TOKENIZERS_PARALLELISM': 'false'}
    """
    return {name: HIDDEN if _SECRET_NAME.search(name) else value for name, value in environment.items()}


# A variable in a sweep file's text: on a line of its own, or within braces.
_ON_A_LINE = re.compile(r"""(?m)^(\s*(?:environment\.)?["']?[A-Z][A-Z0-9_]*["']?[ \t]*:[ \t]*)(\S.*)$""")
_IN_BRACES = re.compile(
    r"""(\b[A-Z][A-Z0-9_]*["']?[ \t]*:[ \t]*)("[^"\n]*"|'[^'\n]*'|\[[^\]]*\]|[^\s,}\]][^,}\]\n]*)"""
)


def text_without_secrets(text: str) -> str:
    """A sweep file's text, the values of such variables hidden.

    >>> text_without_secrets("environment: {HF_TOKEN: hf_abc, A: b}")
    'environment: {HF_TOKEN: ***, A: b}'
    """
    for pattern in (_ON_A_LINE, _IN_BRACES):
        text = pattern.sub(_hidden, text)
    return text


def _hidden(found: re.Match[str]) -> str:
    return found[1] + HIDDEN if _SECRET_NAME.search(found[1]) else found[0]
