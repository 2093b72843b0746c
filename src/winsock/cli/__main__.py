"""`python -m winsock.cli` is the `winsock` command."""

from __future__ import annotations

import sys

from winsock.cli import main

sys.exit(main())
