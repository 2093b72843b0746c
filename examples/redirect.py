from winsock import Layer


class Mine(Layer):
    """Send every connection to another address."""

    def connecting(self, address):
        print(f"{address} is asked for, 127.0.0.1:8000 it gets")
        return ("127.0.0.1", 8000)
