"""What a layer may change while it is imported, in the process that becomes the program's: the program must not see it.

That is the working directory, the umask, the resource limits, and which files the standard descriptors are.
"""

from __future__ import annotations

import os
import resource
from typing import NamedTuple

_LIMITS = tuple(sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}))
_STANDARD = ("standard input", "standard output", "standard error")

File = tuple[int, int, int]


class Footing(NamedTuple):
    """On what a process stands."""

    folder: bytes | None
    """None where it was removed."""
    umask: int
    limits: tuple[tuple[int, int], ...]
    standard: tuple[File | None, ...]

    @classmethod
    def look(cls) -> Footing:
        """As it is now."""
        return cls(_folder(), _umask(), tuple(map(resource.getrlimit, _LIMITS)), tuple(map(_file, range(3))))

    def restore(self) -> None:
        """Go back to where we were. A hard limit that was lowered stays so, where the kernel has it so."""
        os.umask(self.umask)
        if self.folder is not None and _folder() != self.folder:
            os.chdir(self.folder)
        for number, limit in zip(_LIMITS, self.limits, strict=True):
            if resource.getrlimit(number) != limit:
                try:
                    resource.setrlimit(number, limit)
                except (OSError, ValueError):
                    pass

    def changed(self) -> str | None:
        """The standard descriptor that is another file now, or none; None where all are as they were."""
        for descriptor, (file, name) in enumerate(zip(self.standard, _STANDARD, strict=True)):
            if _file(descriptor) != file:
                return f"{name} (descriptor {descriptor})"
        return None


def _folder() -> bytes | None:
    try:
        return os.getcwdb()
    except OSError:
        return None


def _umask() -> int:
    found = os.umask(0o077)
    os.umask(found)
    return found


def _file(descriptor: int) -> File | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_rdev
