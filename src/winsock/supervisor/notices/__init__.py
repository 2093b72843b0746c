"""What the kernel tells of sockets that have closed."""
