"""What Python code of ours prints, a layer's `print()` above all, as lines for the user.

The streams are replaced before a layer is imported, and are the same ever after: a handler of `logging` that is made at
the head of a layer's file keeps the stream that it finds there. Until it is known where lines go, they are kept.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class _Lines(io.RawIOBase):
    """A file whose bytes become lines."""

    def __init__(self) -> None:
        self.kept = b""
        self.line: Callable[[str], None] | None = None

    def writable(self) -> bool:
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        text = bytes(data)
        self.kept += text
        self.tell_whole()
        return len(text)

    def tell_whole(self) -> None:
        """Tell the whole lines; what has no end yet waits for it."""
        if self.line is not None:
            whole, end, rest = self.kept.rpartition(b"\n")
            if end:
                self.kept = rest
                self.line(whole.decode(errors="replace"))


class _Stream(io.TextIOWrapper):
    """What stands for stdout and stderr."""

    def close(self) -> None:
        """It stays open: others print, too."""


_lines = _Lines()
_stream = _Stream(io.BufferedWriter(_lines), "utf-8", "backslashreplace", line_buffering=True)


@contextmanager
def kept() -> Iterator[None]:
    """Keep what is printed meanwhile, for who says where it goes; after an exception that is stderr."""
    _lines.kept, _lines.line = b"", None
    before = sys.stdout, sys.stderr
    sys.stdout = sys.stderr = _stream
    try:
        yield
    except BaseException:
        tell_to(lambda text: print(text, file=before[1]))
        end()
        raise
    finally:
        _stream.flush()
        sys.stdout, sys.stderr = before


def tell_to(line: Callable[[str], None]) -> None:
    """From now on what is printed goes to `line`, a line or several at a time; what was kept, with the next of it."""
    _lines.line = line
    sys.stdout = sys.stderr = _stream


def tell_kept() -> None:
    """Tell the lines that were kept."""
    _lines.tell_whole()


def end() -> None:
    """Tell everything, a last line without an end too."""
    _stream.flush()
    _lines.tell_whole()
    if _lines.kept:
        _lines.write(b"\n")
