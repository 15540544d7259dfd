"""Where it was measured, and with which versions."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llvmlite.binding import get_host_cpu_name

PACKAGES = ("numba", "numpy", "torch", "jax", "scikit-learn", "onnxruntime")


def cpu_name() -> str:
    """As the system calls it, and which design it is: in a virtual machine many CPUs bear one name."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", info.read_text(), re.MULTILINE) if info.exists() else None
    name = found[1].strip() if found else platform.processor() or platform.machine()
    return f"{name} ({get_host_cpu_name()})"


def describe() -> dict[str, object]:
    """CPU, cores, system, and the versions of Python, fastnn and the libraries beside it."""
    return {
        "cpu": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "fastnn": version("fastnn-jit"),
        **{package: found for package in PACKAGES if (found := _version(package))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


class Load:
    """What other programs take of the machine meanwhile, where the system tells (Linux)."""

    def __init__(self) -> None:
        self.start = self._seconds()

    @staticmethod
    def _seconds() -> tuple[float, float, float]:
        """(busy, all, ours and our children's), summed over the cores."""
        stat = Path("/proc/stat")
        ours = os.times()
        if not stat.exists():
            return 0.0, 0.0, 0.0
        ticks = [int(value) for value in stat.read_text().split("\n", 1)[0].split()[1:9]]
        whole, idle = sum(ticks), ticks[3] + ticks[4]
        hertz = os.sysconf("SC_CLK_TCK")
        return (whole - idle) / hertz, whole / hertz, sum(ours[:4])

    @property
    def of_others(self) -> float:
        """Their share of all cores since the start, 0 to 1."""
        busy, whole, ours = (now - then for now, then in zip(self._seconds(), self.start, strict=True))
        return max(0.0, busy - ours) / whole if whole else 0.0


def commit() -> str:
    """The checkout's commit, with a + if what is measured, or measures, differs from it."""
    code = ["fastnn", "reference", "bench/*.py", "bench/*.c"]
    try:
        found = _git("rev-parse", "--short", "HEAD")
        return found + "+" * bool(_git("status", "--porcelain", "--", *code))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(*command: str) -> str:
    here = Path(__file__).parents[1]
    return subprocess.run(["git", *command], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
