"""What `make demo` shows: an ordinary client under `winsock run`, and what a layer of ten lines does to it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

REDIRECT = Path(__file__).parent / "redirect.py"
NOBODY = "192.0.2.1"
"""An address reserved for documentation: nobody is there."""


class Greeter(BaseHTTPRequestHandler):
    """A web server with one page."""

    def do_GET(self) -> None:
        body = b"Hello from the demo's own server.\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing: the demo shows what the client's side does."""


def client(url: str) -> list[str]:
    """An ordinary client: curl where it is installed, else Python's own."""
    if shutil.which("curl"):
        return ["curl", "-sS", url]
    fetch = "import sys, urllib.request as r; print(r.urlopen(sys.argv[1]).read().decode(), end='')"
    return [sys.executable, "-c", fetch, url]


def run(options: list[str], program: list[str], folder: str) -> int:
    """Show the command, then run it; its lines and ours come as they come."""
    shown = [Path(program[0]).name, *program[1:]]
    say(f"\n$ winsock {shlex.join(['run', *options, '--', *shown])}", bold=True)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [sys.executable, "-m", "winsock.cli", "run", *options, "--", *program]
    return subprocess.run(command, cwd=folder, env=environment, timeout=60, check=False).returncode


def say(text: str, bold: bool = False) -> None:
    """Print, before what a child prints next."""
    print(f"\033[1m{text}\033[0m" if bold and sys.stdout.isatty() else text, flush=True)


def acts(port: int, folder: str) -> list[int]:
    """The demo, act by act; the statuses of its runs."""
    say(f"A web server of the demo's own listens on 127.0.0.1:{port}. An ordinary client asks it for a page:")
    first = run([], client(f"http://127.0.0.1:{port}/"), folder)
    code = REDIRECT.read_text().replace("8000", str(port))
    Path(folder, "mine.py").write_text(code)
    say(f"\nNow a layer of your own, ./mine.py, which sends every connection to that server:\n\n{indented(code)}")
    say(f"At {NOBODY} nobody is, and yet (trace, below the layer, shows what is really connected):")
    second = run(["--layer", "./mine.py", "--layer", "trace"], client(f"http://{NOBODY}/"), folder)
    return [first, second]


def indented(code: str) -> str:
    """The code as a block."""
    return "".join(f"    {line}".rstrip() + "\n" for line in code.splitlines())


def main() -> int:
    """0 where all went well."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Greeter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="winsock-demo-") as folder:
        statuses = acts(server.server_port, folder)
    server.shutdown()
    if any(statuses):
        say(f"\nThe runs ended with {statuses}; `winsock doctor` says what works on this machine and what to do.")
        return 1
    say("\nYour turn: winsock run -- PROGRAM, with any program. The README goes on from here.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
