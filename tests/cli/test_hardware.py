from __future__ import annotations

import json

from tests.cli.process import Vbench


def test_profiles_beside_this_machine(vbench: Vbench) -> None:
    text = vbench("hardware", check=0).stdout

    rows = [line.split() for line in text.splitlines() if line.strip()]
    assert rows[0][:3] == ["name", "title", "gpus"]
    assert rows[2][:2] == ["this", "machine"]
    t4 = next(row for row in rows if row[0] == "t4")
    assert {"15,360", "14.56", "320", "65", "7.5"} <= set(t4)


def test_as_json_with_a_profile_of_the_users(vbench: Vbench) -> None:
    vbench.write("nvml_memory_mib: 46068\ncompute_capability: 8.9\n", "l40s.gpu.yaml")
    said = json.loads(vbench("hardware", "--json", check=0).stdout)

    assert said["this_machine"]["name"] == "this machine"
    assert {"t4", "kaggle-2xt4", "l40s"} <= {one["name"] for one in said["profiles"]}
    assert "l40s" in vbench("hardware", check=0).stdout


def test_a_bad_profile_or_folder(vbench: Vbench) -> None:
    vbench.write("nvml_memory_mib: 24\n", "mine.gpu.yaml")
    assert "mine.gpu.yaml:1" in vbench("hardware", check=2).stderr
    assert "no such folder" in vbench("hardware", "--folder", "nowhere", check=2).stderr
