"""Split computing: a net's head on the device, its tail on a server, a small payload between them."""

from edgesmith.collaborate.split.bottlefit import bottlefit

METHODS = (bottlefit,)
