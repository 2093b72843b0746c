"""fetch URL: the way of urllib."""

from __future__ import annotations

import sys
import urllib.request


def main(url: str) -> None:
    with urllib.request.urlopen(url) as answer:
        print(answer.status, answer.read())


main(sys.argv[1])
