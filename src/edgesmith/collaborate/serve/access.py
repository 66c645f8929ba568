"""Who may reach a server, and how: loopback alone, or anywhere with TLS and a token."""

import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from edgesmith.core.errors import BadInput

TOKEN_VARIABLE = "EDGESMITH_TOKEN"
MIN_TOKEN, MAX_TOKEN = 16, 1024  # characters
MAX_PEM_BYTES = 1 << 20
SCHEME = "Bearer "


@dataclass(frozen=True)
class Access:
    """Where a server listens and what it asks for.

    Attributes:
        port: 0 picks a free one.
        cert, key: PEM, for TLS; both or none.
        token: that each call must bring; "" for none.

    Raises:
        BadInput: off loopback without TLS or without a token.
    """

    host: str = "127.0.0.1"
    port: int = 0
    cert: bytes = b""
    key: bytes = field(default=b"", repr=False)
    token: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if bool(self.cert) != bool(self.key):
            raise BadInput("serve: one of certificate and key alone; TLS needs both.")
        if not is_loopback(self.host) and not (self.cert and self.token):
            raise BadInput(
                f"serve: {self.host} is not loopback, so others can reach it; need --tls-cert, --tls-key and a token "
                f"(--token-file, or {TOKEN_VARIABLE}). Or listen on 127.0.0.1."
            )

    @property
    def address(self) -> str:
        """As gRPC takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches it. A name is not looked up: but for localhost it counts as outside.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("example.org")
    (True, True, False, False)
    """
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def read_token(path: Path | None, environment: Mapping[str, str] = os.environ) -> str:
    """The token from a file, or else from EDGESMITH_TOKEN; "" where there is neither.

    Raises:
        BadInput: unreadable, too short or too long, or with other characters than printable ASCII.
    """
    if path is not None:
        token = read_small(path, MAX_TOKEN + 2).decode("latin-1").rstrip("\r\n")
    elif not (token := environment.get(TOKEN_VARIABLE, "")):
        return ""
    if not MIN_TOKEN <= len(token) <= MAX_TOKEN or not token.isascii() or not token.isprintable() or " " in token:
        raise BadInput(
            f"serve: the token has {len(token)} characters; need {MIN_TOKEN} to {MAX_TOKEN} of printable ASCII without "
            "spaces, such as: openssl rand -hex 32"
        )
    return token


def read_small(path: Path, most_bytes: int = MAX_PEM_BYTES) -> bytes:
    """A small file.

    Raises:
        BadInput: it cannot be read or is larger.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise BadInput(f"serve: {path} cannot be read ({error.strerror}); need a readable file.") from error
    if len(data) > most_bytes:
        raise BadInput(f"serve: {path} has more than {most_bytes:,} bytes; need a key, certificate or token.")
    return data


def admits(token: str, given: str | bytes) -> bool:
    """Whether an `authorization` header carries the token; takes the same time wherever it differs."""
    header = given.encode("utf-8", "replace") if isinstance(given, str) else given
    return hmac.compare_digest(header, f"{SCHEME}{token}".encode())
