"""transfer_asyncio HOST PORT COUNT: so many connections at the same time; each sends a body and gets it back, twice."""

from __future__ import annotations

import asyncio
import hashlib
import sys

BODY = 10_000


async def transfer(host: str, port: int, number: int) -> str:
    reader, writer = await asyncio.open_connection(host, port)
    digests = []
    for turn in range(2):
        body = f"{number} {turn} ".encode() * BODY
        body = body[: BODY + number]
        writer.write(b"PUT /%d HTTP/1.1\r\nHost: asyncio\r\nContent-Length: %d\r\n\r\n" % (number, len(body)))
        writer.write(body)
        head = await reader.readuntil(b"\r\n\r\n")
        count = int(head.lower().partition(b"content-length:")[2].split()[0])
        back = await reader.readexactly(count)
        digests.append(f"{back == body} {hashlib.sha256(back).hexdigest()}")
    writer.write_eof()
    rest = await reader.read()
    writer.close()
    await writer.wait_closed()
    return f"{number} {digests} {rest!r}"


async def main(host: str, port: int, count: int) -> None:
    for answer in await asyncio.gather(*(transfer(host, port, number) for number in range(count))):
        print(answer)


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
