"""No test meets the catalog of whoever runs it: there is none, unless the test says where."""

from __future__ import annotations

import os
import tempfile

os.environ["WINSOCK_CATALOG"] = os.path.join(tempfile.gettempdir(), f"winsock-tests-{os.getpid()}", "none.sqlite")
