"""News of datagrams that were lost, which the kernel has told already and Windows tells to a receive.

While a handle is here, a receive on it does not wait: so says whoever is asked what is ready.
"""

from __future__ import annotations

LOSSES: set[int] = set()
"""Handles of base providers. WSPCloseSocket takes one out, and so does the receive."""
