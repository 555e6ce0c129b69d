"""Shipped profiles hold together and name their sources; a user's own is read, or refused in plain words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from vbench.errors import SpecError, UsageError
from vbench.hardware.nvml import Nvml
from vbench.hardware.profile import HardwareProfile, list_profiles, load_profile, profile_names
from vbench.hardware.view import COLUMNS, hardware_table

SHIPPED = profile_names()
GPUS = [name for name in SHIPPED if name != "cpu"]
NEEDS_A_SOURCE = {
    "nvml_memory_mib", "cuda_visible_bytes", "bandwidth_gb_s", "fp16_tflops", "fp16_fp32_accumulate_tflops",
    "int8_tops", "fp8_tflops", "fp8_fp32_accumulate_tflops", "compute_capability", "link", "tdp_w", "host", "driver",
    "max_cuda", "refused",
}  # fmt: skip
SOUND = "nvml_memory_mib: 49140\ncompute_capability: 8.9\n"
Refuse = Callable[[str], str]


@pytest.fixture
def refuse(tmp_path: Path) -> Refuse:
    """What the user reads about their profile, the folder left out."""

    def refuse(text: str) -> str:
        (tmp_path / "mine.gpu.yaml").write_text(text)
        with pytest.raises(SpecError) as caught:
            load_profile("mine", tmp_path)
        return str(caught.value).replace(f"{tmp_path}/", "")

    return refuse


def test_the_issue_s_cards_are_there() -> None:
    assert set(SHIPPED) == {
        "t4", "kaggle-2xt4", "kaggle-p100", "rtx3090", "rtx4090", "l4", "a10g", "a100-40", "a100-80", "h100", "h200",
        "v100", "cpu",
    }  # fmt: skip


@pytest.mark.parametrize("name", SHIPPED)
def test_every_number_has_its_source(name: str) -> None:
    profile = load_profile(name)
    given = {one.name for one in fields(profile) if getattr(profile, one.name) is not None} & NEEDS_A_SOURCE
    assert given <= set(profile.sources)
    assert set(profile.sources) <= given | {"num_gpus"}  # and no source is left of a number that went


@pytest.mark.parametrize("name", GPUS)
def test_relations(name: str) -> None:
    profile = load_profile(name)
    assert profile.memory_bytes is not None
    assert profile.visible_bytes is not None
    assert 0.95 * profile.memory_bytes < profile.visible_bytes < profile.memory_bytes
    assert profile.num_gpus >= 1
    assert profile.fp16_tflops is not None
    assert profile.gemm_fp16_tflops is not None
    assert profile.gemm_fp16_tflops <= profile.fp16_tflops
    if profile.int8_tops is not None:
        assert profile.int8_tops == pytest.approx(2 * profile.fp16_tflops, rel=0.01)
    assert profile.compute_capability is not None
    assert (profile.fp8_tflops is not None) == (profile.compute_capability >= (8, 9))


@pytest.mark.parametrize("name", [name for name in GPUS if load_profile(name).cuda_visible_bytes is not None])
def test_rule_for_visible_bytes_is_near_what_was_seen(name: str) -> None:
    seen = load_profile(name)
    assert seen.cuda_visible_bytes is not None
    derived = HardwareProfile(name="x", title="x", nvml_memory_mib=seen.nvml_memory_mib).visible_bytes
    assert derived is not None
    assert -0.02 < derived / seen.cuda_visible_bytes - 1 < 0.001


def test_t4_as_kaggle_shows_it() -> None:
    profile = load_profile("t4")
    assert profile.memory_bytes == 15_360 * 1024**2
    assert profile.visible_bytes == 15_636_037_632


def test_kaggle_all_reduce_is_the_measured_fit() -> None:
    link = load_profile("kaggle-2xt4").link
    assert link is not None
    assert link.all_reduce is not None
    assert link.all_reduce.seconds(0) == pytest.approx(112e-6)
    assert link.all_reduce.seconds(4_060_000) == pytest.approx(1112e-6)  # 4.06 MB at 4.06 GB/s is 1 ms


def test_p100_is_refused_with_the_way_out() -> None:
    with pytest.raises(UsageError, match=r"has 6\.0: .*kaggle-2xt4"):
        load_profile("kaggle-p100").raise_if_refused()
    load_profile("t4").raise_if_refused()


def test_cpu_has_no_gpu() -> None:
    profile = load_profile("cpu")
    assert (profile.kind, profile.num_gpus, profile.visible_bytes) == ("cpu", 0, None)


def test_profiles_are_frozen_and_json() -> None:
    profile = load_profile("rtx3090")
    with pytest.raises(FrozenInstanceError):
        profile.num_gpus = 2  # type: ignore[misc]
    plain: dict[str, Any] = json.loads(json.dumps(profile.as_json()))
    assert (plain["compute_capability"], plain["visible_bytes"]) == ("8.6", profile.visible_bytes)


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match="no hardware profile 'rtx-3090': did you mean rtx3090"):
        load_profile("rtx-3090")
    with pytest.raises(UsageError, match=r"there is a100-40, .*add zzz\.gpu\.yaml"):
        load_profile("zzz")
    with pytest.raises(UsageError, match=r"no hardware profile '\.\./cpu'"):
        load_profile("../cpu")


def test_user_profile(tmp_path: Path) -> None:
    (tmp_path / "l40s.gpu.yaml").write_text(
        SOUND + "num_gpus: 2\nlink: {kind: PCIe, all_reduce: {latency_us: 90, gb_s: 9}}\n"
    )
    profile = load_profile("l40s", tmp_path)
    assert (profile.title, profile.num_gpus, profile.compute_capability) == ("l40s", 2, (8, 9))
    assert profile.bandwidth_gb_s is None
    assert profile.file == tmp_path / "l40s.gpu.yaml"
    assert profile_names(tmp_path) == [*SHIPPED, "l40s"]
    assert [one.name for one in list_profiles(tmp_path)][-1] == "l40s"


def test_user_profile_may_not_take_a_shipped_name(tmp_path: Path) -> None:
    (tmp_path / "t4.gpu.yaml").write_text(SOUND)
    with pytest.raises(SpecError, match="t4 is a shipped profile"):
        load_profile("t4", tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nvml_memory_mib: 24\ncompute_capability: 8.6", "mine.gpu.yaml:1: nvml_memory_mib: 24 MiB can't be"),
        ("nvml_memory_mib: 25769803776\ncompute_capability: 8.6", "MiB as nvidia-smi shows them"),
        ("nvml_memory_mib: 24576\ncompute_capability: 86", "mine.gpu.yaml:2: compute_capability: there is no"),
        ("nvml_memory_mib: 24576\ncompute_capability: 86", "did you mean 8.6?"),
        (SOUND + "bandwidth_gb_s: 0.864", "GB/s, not TB/s"),
        (SOUND + "bandwith_gb_s: 864", "mine.gpu.yaml:3: bandwith_gb_s: unknown key 'bandwith_gb_s' (did you mean ban"),
        (SOUND + "link: {kind: PCIe, gbs: 64}", "link.gbs: unknown key 'gbs' (did you mean gb_s?)"),
        (SOUND + "cuda_visible_bytes: 47000", "torch.cuda.mem_get_info()[1]"),
        (SOUND + "fp16_tflops: fast", "mine.gpu.yaml:3: fp16_tflops: expected a number, got 'fast'"),
        (SOUND + "num_gpus: 0", "num_gpus: 0 GPUs can't be"),
        (SOUND + "tdp_w: -70", "tdp_w: -70.0 W can't be"),
        (SOUND + "max_cuda: new", "max_cuda: expected a version such as"),
        (SOUND + "link: {kind: x, all_reduce: {latency_us: 1, gb_s: 1}}", "num_gpus is 1"),
        (SOUND + "sources: {tdp: me}", "sources.tdp: 'tdp' is not a key of a profile"),
        ("nvml_memory_mib: 24576\ncompute_capability: 8.6\nfp8_tflops: 300", "without FP8 units"),
        ("compute_capability: 8.6", "nvml_memory_mib is missing"),
        ("nvml_memory_mib: 24576", "compute_capability is missing"),
        ("- a list", "expected keys and values"),
        ("", "the file is empty"),
        ("kind: tpu\n" + SOUND, "expected one of gpu, cpu, got 'tpu'"),
    ],
)
def test_bad_profile(refuse: Refuse, text: str, words: str) -> None:
    assert words in refuse(text)


def test_every_problem_at_once(refuse: Refuse) -> None:
    said = refuse("nvml_memory_mib: 24\ncompute_capability: 86\nfp61_tflops: 3\n")
    assert len(said.splitlines()) == 3


def test_binary_or_huge_file(refuse: Refuse, tmp_path: Path) -> None:
    assert "larger than 256 KiB" in refuse("#" * 300_000)
    (tmp_path / "mine.gpu.yaml").write_bytes(b"title: \xff\n")
    with pytest.raises(SpecError, match="not UTF-8"):
        load_profile("mine", tmp_path)


def test_table_without_a_gpu_says_so() -> None:
    rows = hardware_table(Nvml())  # not opened: as on a machine without a driver
    assert [tuple(row) for row in rows] == [COLUMNS] * (len(SHIPPED) + 1)
    assert rows[0]["name"] == "this machine"
    by_name = {row["name"]: row for row in rows}
    assert by_name["l4"]["CUDA sees GiB"] == "~21.99"  # derived
    assert by_name["kaggle-2xt4"]["CUDA sees GiB"] == "14.56"
    assert by_name["rtx3090"]["FP16 TFLOPS"] == "71"  # with FP32 accumulation
    assert by_name["kaggle-p100"]["title"].endswith("(refused)")


def test_the_documented_profile_loads(tmp_path: Path) -> None:
    text = (Path(__file__).parents[2] / "docs/hardware.md").read_text()
    example = text.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "l40s.gpu.yaml").write_text(example)
    assert load_profile("l40s", tmp_path).num_gpus == 2


def test_the_documented_table_is_that_of_the_profiles() -> None:
    text = (Path(__file__).parents[2] / "docs/hardware.md").read_text()
    listed = {line.split("`")[1]: line for line in text.splitlines() if line.startswith("| `") and line.count("|") == 9}
    assert set(listed) == set(SHIPPED)
    rows = {row["name"]: row for row in hardware_table(Nvml())}
    for name in set(GPUS) - {"kaggle-p100"}:
        for column in ("memory MiB", "CUDA sees GiB", "GB/s", "FP16 TFLOPS", "INT8 TOPS", "FP8 TFLOPS", "capability"):
            assert rows[name][column] in listed[name]
