"""What a server takes upon itself at most; what is beyond is refused at once, not kept waiting."""

from dataclasses import dataclass

from edgesmith.collaborate.serve.wire import MAX_BYTES
from edgesmith.core.errors import BadInput


@dataclass(frozen=True)
class Limits:
    """Bounds of a server. Its messages take at most `max_bytes * (2 * max_in_flight + max_streams)`, 1.3 GB by default,
    and that only if so many clients with the token send the largest there may be and then stall.

    Attributes:
        batch: requests that go to the model together, of whatever clients.
        batch_wait_ms: how long the first of them waits for others. 0, the default, takes what is there: a model of
            batch one gains nothing from waiting.
        max_queue: requests that wait for the model; one more is busy.
        max_in_flight: requests that are taken and not answered; one more is busy.
        max_bytes: of a message, either way.
        max_streams: streaming calls that are open.
        max_connections: beyond which new ones are closed at once.
        grace_s: how long requests in flight may take to end once the server is told to.
    """

    batch: int = 8
    batch_wait_ms: float = 0.0
    max_queue: int = 64
    max_in_flight: int = 128
    max_bytes: int = MAX_BYTES
    max_streams: int = 64
    max_connections: int = 1024
    grace_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("batch", "max_queue", "max_in_flight", "max_bytes", "max_streams", "max_connections"):
            if getattr(self, name) < 1:
                raise BadInput(f"serve: {name} is {getattr(self, name)}; need at least 1.")
        for name in ("batch_wait_ms", "grace_s"):
            if not 0 <= getattr(self, name) < 1e6:
                raise BadInput(f"serve: {name} is {getattr(self, name)}; need 0 or more.")
