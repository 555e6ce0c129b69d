"""`vbench schema`."""

from __future__ import annotations

import json

import typer


def schema() -> None:
    """Print the JSON Schema of sweep files, for editors that complete and check YAML."""
    from vbench.spec.model import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))
