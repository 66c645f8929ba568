"""Entropy coding of integer payloads with static tables, the same bytes from C on a board and from a server.

    code = fit(activations, tables=4)       # (n, ..., channels) integers
    data = code.encode(payload)             # bytes; decode needs the shape, which both sides know
    code.decode(data, payload.shape)

`reference` is the definition of the stream. `native` (C of `c/`, which boards run too) and `with_constriction` give the
same bytes; `Code` takes the fastest that is installed.
"""

from edgesmith.collaborate.coding.code import Code
from edgesmith.collaborate.coding.fitting import fit, from_pmf
from edgesmith.collaborate.coding.tables import Table

__all__ = ["Code", "Table", "fit", "from_pmf"]
