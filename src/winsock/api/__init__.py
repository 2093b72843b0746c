"""The application interface: what Ws2_32.dll exports, by topic."""
