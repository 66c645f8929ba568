"""A message in, a message out: what a server does with bytes of anybody, whatever brought them."""

from edgesmith.collaborate.serve import wire
from edgesmith.collaborate.serve.batches import Batches, InferMany
from edgesmith.collaborate.serve.limits import Limits
from edgesmith.collaborate.serve.metrics import Metrics
from edgesmith.collaborate.serve.wire import Reply, microseconds
from edgesmith.core.errors import BadInput


class Service:
    """One model and its queue. Make it inside an event loop.

    Args:
        model: its sha256; requests for another are refused.
    """

    def __init__(self, model: bytes, infer_many: InferMany, limits: Limits, metrics: Metrics) -> None:
        self.model, self.limits, self.metrics = model, limits, metrics
        self.batches = Batches(infer_many, limits, metrics)
        self.in_flight = 0
        self.closing = False

    async def answer(self, message: bytes) -> bytes:
        """The reply to a request, or to whatever else came; raises nothing."""
        self.metrics.received.inc(len(message))
        reply = await self._reply(message)
        try:
            answer = wire.encode_reply(reply, self.limits.max_bytes)
        except BadInput as error:  # outputs that the wire cannot carry
            reply = Reply(reply.id, self.model, "error", text=str(error))
            answer = wire.encode_reply(reply)
        self.metrics.requests.labels(reply.status).inc()
        self.metrics.sent.inc(len(answer))
        return answer

    async def _reply(self, message: bytes) -> Reply:
        id_ = wire.request_id(message)
        if self.closing:
            return Reply(id_, self.model, "closing", text="the server ends")
        if self.in_flight >= self.limits.max_in_flight:
            return Reply(id_, self.model, "busy", text=f"{self.in_flight} requests are in flight")
        try:
            request = wire.decode_request(message, self.model, self.limits.max_bytes)
        except BadInput as error:
            return Reply(id_, self.model, "error", text=str(error))
        self.in_flight += 1
        self.metrics.in_flight.inc()
        try:
            return await self._computed(request)
        finally:
            self.in_flight -= 1
            self.metrics.in_flight.dec()

    async def _computed(self, request: wire.Request) -> Reply:
        patience_s = request.patience_us * 1e-6 if request.patience_us else float("inf")
        done = await self.batches.run(request.tensors, patience_s)
        if done.status == "ok":
            self.metrics.queue.observe(done.queue_s)
            self.metrics.compute.observe(done.compute_s)
        times = microseconds(done.queue_s), microseconds(done.compute_s)
        return Reply(request.id, self.model, done.status, done.outputs, done.text, *times)
