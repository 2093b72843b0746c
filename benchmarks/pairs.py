"""What every benchmark here is made of: alternating runs, medians, ratios, and the spread of like against like."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Run = Callable[[], float]


class Row(NamedTuple):
    """One line of a table."""

    what: str
    figure: str
    wanted: str = ""


def alternate(runs: Mapping[str, Run], rounds: int) -> dict[str, list[float]]:
    """Every run once a round, in turn, so that whatever the machine does meanwhile is done to all of them."""
    figures: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            figures[name].append(run())
    return figures


def median(figures: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(figures)


def ratio_spread(first: Sequence[float], second: Sequence[float]) -> str:
    """The ratios pair by pair: median, and from the least to the largest."""
    ratios = sorted(a / b for a, b in zip(first, second, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def machine() -> str:
    """What these figures were measured on."""
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    return (
        f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, "
        f"{platform.python_implementation()} {platform.python_version()}"
    )


def show(title: str, rows: Sequence[Row]) -> None:
    """A table in Markdown."""
    print(f"\n### {title}\n\n| what | figure | wanted |\n|---|---|---|")
    for row in rows:
        print(f"| {row.what} | {row.figure} | {row.wanted} |")
