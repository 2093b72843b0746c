"""fetch_asyncio HOST PORT [COUNT]: connections of one event loop at the same time; connects do not block."""

from __future__ import annotations

import asyncio
import sys


async def fetch(host: str, port: int) -> str:
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return f"{type(error).__name__} {error.errno}"
    writer.write(b"GET / HTTP/1.1\r\nHost: asyncio\r\n\r\n")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return repr(answer)


async def main(host: str, port: int, count: int) -> None:
    for answer in await asyncio.gather(*(fetch(host, port) for _ in range(count))):
        print(answer)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int([*sys.argv, "1"][3])))
