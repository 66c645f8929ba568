"""Names of the calls, and what the health call answers, for server and client alike."""

SERVICE = "edgesmith.Split"
ASK, STREAM = f"/{SERVICE}/Ask", f"/{SERVICE}/Stream"
HEALTH = "grpc.health.v1.Health"
CHECK = f"/{HEALTH}/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse.status, as protobuf writes it
