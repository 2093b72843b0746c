"""Sharing a socket with another process."""

from __future__ import annotations

from winsock.abi.protocol_info import WSAPROTOCOL_INFO
from winsock.dispatcher.route import find, function


@function
def WSADuplicateSocket(s: int, process_id: int) -> WSAPROTOCOL_INFO:
    """A structure with which that process opens the same socket, by WSASocket, once and within a minute.

    Its 628 bytes (`.pack()`) may travel by any channel: they are worth nothing to any other process. Raises WSAEINVAL
    where there is no such process, WSAEMFILE, WSAENOBUFS, WSAENOTSOCK, WSANOTINITIALISED. Source:
    nf-winsock2-wsaduplicatesocketw.
    """
    record = find(s)
    duplicate = record.table.WSPDuplicateSocket(s, process_id)
    record.shared = True
    return duplicate
