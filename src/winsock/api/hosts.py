"""The name of this host."""

from __future__ import annotations

from socket import gethostname as _name_of_host

from winsock.abi.errors import from_errno
from winsock.dispatcher.route import function, require_started


@function
def gethostname() -> str:
    """The host's own name, as it is configured. Raises WSAENETDOWN, WSANOTINITIALISED.

    Sources: nf-winsock2-gethostname, nf-winsock2-gethostnamew.
    """
    require_started()
    try:
        return _name_of_host()
    except OSError as error:
        raise from_errno(error.errno or 0, f"the host does not tell its name: {error.strerror}") from None
