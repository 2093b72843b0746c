"""Urgent data that comes in line: whose receives tell it, and where the byte goes.

A base provider keeps an urgent byte in its place where SO_OOBINLINE is set, and says no more of it. Whoever must carry
it on as what it is, a relay or a file, puts the base handle into `MARKING`: a receive without flags brings the byte by
itself then, with MSG_OOB among the flags that it answers.
"""

from __future__ import annotations

from collections.abc import Sequence

from winsock.spi.provider import WriteBuffer

MARKING: set[int] = set()
"""Handles of base providers, own and adopted, with urgent data in line, of which a receive tells an urgent byte.
WSPCloseSocket takes one out."""


def first_byte(buffers: Sequence[WriteBuffer]) -> memoryview:
    """Where an urgent byte goes, which is taken by itself; of no length where the buffers have no room at all.

    Raises TypeError, BufferError or ValueError for what is no buffer.
    """
    return next((view[:1] for buffer in buffers if (view := memoryview(buffer).cast("B"))), memoryview(bytearray()))
