"""Split computing at work: the wire, the server with the tail, the client with the head, a shaper between them."""
