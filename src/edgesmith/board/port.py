"""Open a serial port."""

from typing import cast

from edgesmith.board.session import QUIET_S, Port
from edgesmith.core.errors import BadInput, Missing

WRITE_S = 5.0


def open_port(name: str, baud: int) -> Port:
    """A port such as /dev/ttyUSB0, /dev/ttyACM0, COM3 or a pseudo-terminal, with nobody else on it.

    Raises:
        Missing: pyserial is not installed, or no such port; the message lists those there are.
        BadInput: it cannot be opened or does not take the baud rate.
    """
    try:
        import serial
    except ImportError as error:
        raise Missing(
            'serial: pyserial is not installed; need it to talk to a board. pip install "edgesmith[board]"'
        ) from error
    try:
        port = serial.Serial(name, baud, timeout=QUIET_S, write_timeout=WRITE_S, exclusive=_exclusive())
        port.reset_input_buffer()
    except FileNotFoundError as error:
        raise Missing(_absent(name)) from error
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) == 2:
            raise Missing(_absent(name)) from error
        raise BadInput(
            f"serial: {name} cannot be opened ({error}); need a free serial port that you may use. "
            "Close other programs that hold it; on Linux your user may have to join the group dialout."
        ) from error
    return cast(Port, port)


def _exclusive() -> bool | None:
    """Ask for the port alone where the system can; Windows always does."""
    import os

    return True if os.name == "posix" else None


def names() -> list[str]:
    """The ports of this machine, where pyserial can tell."""
    from serial.tools import list_ports

    return sorted(port.device for port in list_ports.comports())


def _absent(name: str) -> str:
    there = ", ".join(names()) or "none"
    return f"serial: no port {name}; there are: {there}. Connect the board or its USB adapter."
