"""What Python does for a program at its end, done for layers: `atexit` is run, and files are written out.

The supervisor leaves by os._exit, since nothing of ours needs tidying up. But a layer may have written to a file that
it never closed, and who ran the program looks into that as soon as it is over.
"""

from __future__ import annotations

import atexit
import gc
import io

from winsock.core import journal


def run_exit_functions() -> None:
    """Call what was given to `atexit`, once; what it raises is printed."""
    atexit._run_exitfuncs()


def write_out() -> None:
    """Flush every file of Python's."""
    for found in gc.get_objects():
        if issubclass(type(found), io.IOBase):  # its class, since a proxy may say anything of itself
            try:
                if not found.closed:
                    found.flush()
            except OSError as error:
                name = getattr(found, "name", type(found).__name__)
                journal.log(f"winsock: {name}, a file of a layer, is not written to its end: {error}")
            except Exception:
                continue  # somebody's own idea of a file
