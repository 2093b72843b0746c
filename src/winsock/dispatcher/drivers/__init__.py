"""What makes a `StreamLayer` a provider: the direct driver in one process, the relay under `winsock run`."""
