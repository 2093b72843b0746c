"""The base provider of streams between virtual machines and their host: AF_HYPERV, over the kernel's AF_VSOCK."""

from __future__ import annotations

from winsock.base.hyperv.provider import HyperV

__all__ = ["HyperV"]
