"""Drive a model on a real board: frames over a serial port, and how a program gets onto it."""

from edgesmith.board.session import Board, Run
from edgesmith.board.wire import Hello

__all__ = ["Board", "Hello", "Run"]
