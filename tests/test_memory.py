"""What a container or service allows counts, not what the machine has."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgeseg.cli.examination import examine
from edgeseg.memory import find_free_memory, find_total_memory

MB = 1 << 20
PHYSICAL = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def system(root: Path, *, groups: str, files: Mapping[str, object]) -> Path:
    """What the kernel tells: this process's groups, and the files of some."""
    for name, content in {"proc/self/cgroup": groups, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n".lstrip())
    (root / "proc/meminfo").write_text(f"MemTotal: 999999999 kB\nMemAvailable: {4000 << 10} kB\n")
    return root


def v2(folder: str, limit: object, *, used: int = 0, cached: int = 0) -> dict[str, object]:
    at = f"sys/fs/cgroup/{folder}".rstrip("/")
    return {
        f"{at}/memory.max": limit,
        f"{at}/memory.current": used,
        f"{at}/memory.stat": f"anon 1\ninactive_file {cached}",
    }


def v1(folder: str, limit: object, *, used: int = 0, cached: int = 0) -> dict[str, object]:
    at = f"sys/fs/cgroup/memory/{folder}".rstrip("/")
    return {
        f"{at}/memory.limit_in_bytes": limit,
        f"{at}/memory.usage_in_bytes": used,
        f"{at}/memory.stat": f"cache 1\ntotal_inactive_file {cached}",
    }


V1_UNLIMITED = 9223372036854771712  # what the kernel writes where nothing was set
CASES = {
    "no groups": ("", {}, None),
    "v2, a service's": ("0::/a/b", v2("a/b", 300 * MB), 300 * MB),
    "v2, no limit": ("0::/a", v2("a", "max"), None),
    "v2, a limit far above": ("0::/a/b/c", v2("a/b/c", "max") | v2("a", 200 * MB), 200 * MB),
    "v2, the lowest of all": ("0::/a/b", v2("a/b", 90 * MB) | v2("a", 80 * MB), 80 * MB),
    "v2, in a container": ("0::/", v2("", 100 * MB), 100 * MB),
    "v2, in a container, the host's path": ("0::/docker/1f", v2("", 100 * MB), 100 * MB),
    "v1": ("3:cpu:/x\n7:memory:/a", v1("a", 70 * MB), 70 * MB),
    "v1, no limit": ("7:memory:/a", v1("a", V1_UNLIMITED), None),
    "v1, with another controller": ("7:cpuset,memory:/a", v1("a", 70 * MB), 70 * MB),
    "v1, in a container, the host's path": ("7:memory:/docker/1f", v1("", 60 * MB), 60 * MB),
    "both": ("7:memory:/a\n0::/a", v1("a", 60 * MB) | v2("a", 50 * MB), 50 * MB),
}


@pytest.mark.parametrize(("groups", "files", "limit"), CASES.values(), ids=CASES)
def test_the_limit_of_every_group_above_holds(
    tmp_path: Path, groups: str, files: dict[str, object], limit: int | None
) -> None:
    found = find_total_memory(system(tmp_path, groups=groups, files=files))
    assert found == (PHYSICAL if limit is None else limit)


def test_what_is_free_is_what_the_group_has_left(tmp_path: Path) -> None:
    files = v2("a", 500 * MB, used=300 * MB, cached=100 * MB)
    assert find_free_memory(system(tmp_path, groups="0::/a", files=files)) == 300 * MB


def test_a_group_beyond_its_limit_has_nothing_left(tmp_path: Path) -> None:
    files = v1("a", 500 * MB, used=501 * MB)
    assert find_free_memory(system(tmp_path, groups="4:memory:/a", files=files)) == 0


def test_a_machine_that_limits_nothing_has_what_the_kernel_says(tmp_path: Path) -> None:
    assert find_free_memory(system(tmp_path, groups="", files={})) == 4000 * MB


def test_doctor_warns_of_a_small_container(tmp_path: Path) -> None:
    found = examine(system(tmp_path, groups="0::/a", files=v2("a", 500 * MB)))
    assert found["memory_free"] == 500 * MB
    assert any("memory" in problem["what"] for problem in found["problems"])


def test_an_export_that_the_container_would_be_killed_for_is_refused(
    edgeseg, checkpoint_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgeseg.deploy.job.find_total_memory", lambda: 512 * MB)
    outcome = edgeseg("export", "--weights", checkpoint_folder, "--size", "2048x2048")
    assert outcome.status == 1
    assert "and 0.5 GB may be taken here; choose a smaller --size" in outcome.err
    assert outcome.err.count("edgeseg: ") == 1
