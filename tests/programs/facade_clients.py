"""Clients from elsewhere over the twin of the socket module, through the layers named: http.client, smtplib, requests.

facade_clients.py HTTP_PORT SMTP_PORT [LAYER...]
"""

from __future__ import annotations

import hashlib
import sys

import winsock.facade
from winsock.dispatcher import process
from winsock.testing import through

process.startup(catalog=through(*sys.argv[3:]))
winsock.facade.install()

import http.client  # noqa: E402
import smtplib  # noqa: E402
import socket  # noqa: E402

import requests  # type: ignore[import-untyped, unused-ignore]  # noqa: E402

assert socket.__name__ == "winsock.facade.socket"


def main(http_port: int, smtp_port: int) -> None:
    """One exchange each; prints what came."""
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=20)
    for _ in range(2):  # the second one on the same connection
        connection.request("GET", "/large")
        print("http.client", hashlib.sha256(connection.getresponse().read()).hexdigest())
    connection.close()
    with requests.Session() as session:
        answer = session.post(f"http://127.0.0.1:{http_port}/digest", data=bytes(200_000), timeout=20)
        print("requests", answer.status_code, answer.text)
    with smtplib.SMTP("127.0.0.1", smtp_port, timeout=20) as client:
        print("smtplib", client.sendmail("a@example.org", ["b@example.org"], "Subject: x\n\nhello\n"))


main(int(sys.argv[1]), int(sys.argv[2]))
