"""Windows Sockets 2 for Python, and any Linux program's sockets opened through layers written in Python."""
