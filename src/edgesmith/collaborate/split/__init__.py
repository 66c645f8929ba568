"""Split computing: a net's head on the device, its tail on a server, a small payload between them."""

from edgesmith.collaborate.split.bottlefit import bottlefit
from edgesmith.collaborate.split.entropic_student import entropic_student
from edgesmith.collaborate.split.ghnd import ghnd
from edgesmith.collaborate.split.slimmable import slimmable

METHODS = (bottlefit, entropic_student, ghnd, slimmable)
