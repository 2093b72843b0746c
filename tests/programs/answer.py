"""answer COUNT [asyncio]: a server that prints its port, takes COUNT connections, and tells each whom it sees."""

from __future__ import annotations

import asyncio
import socket
import sys


def blocking(count: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(listener.getsockname()[1], flush=True)
        for _ in range(count):
            connection, peer = listener.accept()
            with connection:
                connection.sendall(f"hello {peer[1]}".encode())
                print("took", peer[1], flush=True)


async def event_loop(count: int) -> None:
    answered = asyncio.Semaphore(0)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = writer.get_extra_info("peername")[1]
        writer.write(f"hello {port}".encode())
        writer.close()
        await writer.wait_closed()
        print("took", port, flush=True)
        answered.release()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    for _ in range(count):
        await answered.acquire()
    server.close()


if "asyncio" in sys.argv:
    asyncio.run(event_loop(int(sys.argv[1])))
else:
    blocking(int(sys.argv[1]))
