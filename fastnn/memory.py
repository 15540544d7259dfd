"""How much memory is available, and errors in time for what would need more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

LEAST_LOOKED_AT = 64 << 20  # bytes: fewer are always available, and a check takes 0.1 ms

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
CGROUP_OF_PROCESS = Path("/proc/self/cgroup")


def shown(count: int) -> str:
    """Return a number of bytes as a readable text."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}" if count < 999.5 * size else f"{count / size:,.0f} {unit}"
    return f"{count} byte{'s' * (count != 1)}"


def enough(count: int) -> str:
    """Return a number of bytes as a readable text, rounded up, so that it can be used as a limit."""
    step = 10 ** max(0, len(str(count)) - 3)  # three digits are shown
    return shown(-(-count // step) * step)


def refuse(needed: int, what: str, way_out: str = "") -> None:
    """Raise MemoryError, with an explanation, if that many bytes are not available."""
    if needed < LEAST_LOOKED_AT:
        return
    there = available()
    if there is not None and needed > there:
        raise MemoryError(
            f"{what} would take {shown(needed)} of memory, and {shown(there)} can be had"
            + (f"; {way_out}" if way_out else "")
        )


def available() -> int | None:
    """Return the bytes that this process can still get, including swap; None if the system does not tell."""
    found = [*_of_machine(), *_of_cgroup(), *_of_address_space()]
    return max(0, min(found)) if found else None


def _of_machine() -> Iterator[int]:
    try:
        lines = dict(line.split(":", 1) for line in MEMINFO.read_text().splitlines() if ":" in line)
        kilobytes = [int(lines[name].split()[0]) for name in ("MemAvailable", "SwapFree")]
        yield 1024 * sum(kilobytes)
    except (OSError, KeyError, ValueError):
        try:
            yield os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        except (AttributeError, ValueError, OSError):
            return


def control_groups(controller: str, process: Path, root: Path) -> Iterator[Path]:
    """Yield the folders of a process's control groups for a controller, and of all groups around them."""
    try:
        lines = process.read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        _, controllers, inner = line.split(":", 2)
        if controllers != "" and controller not in controllers.split(","):
            continue
        mounted = root / controllers
        folder = mounted / inner.lstrip("/")
        yield from (place for place in (folder, *folder.parents) if place.is_relative_to(mounted))


def _of_cgroup() -> Iterator[int]:
    """Yield what the limits of containers and jobs leave, without swap; pages of files count as free."""
    for folder in control_groups("memory", CGROUP_OF_PROCESS, CGROUP):
        for most, used, inactive in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            yield from _left_of(folder / most, folder / used, folder / "memory.stat", inactive)


def _left_of(most: Path, used: Path, stat: Path, inactive: str) -> Iterator[int]:
    try:
        known = dict(line.split() for line in stat.read_text().splitlines())
        yield int(most.read_text()) - int(used.read_text()) + int(known[inactive])
    except (OSError, KeyError, ValueError):  # there is no bound, or it is "max"
        return


def _of_address_space() -> Iterator[int]:
    """Yield what ``ulimit -v`` leaves."""
    try:
        import resource

        bound = resource.getrlimit(resource.RLIMIT_AS)[0]
        if bound != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            yield bound - pages * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError, ValueError):
        return
