"""Which form of softmax, GELU and layer norm a float graph asks for (docs/transformers.md)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from edgesmith.core.graph import Attr, Graph, Op


@dataclass(frozen=True)
class Forms:
    """A choice for every softmax, GELU and layer norm of a graph.

    Attributes:
        softmax: "table" (softmax_s8), "single_pass" (single_pass_softmax_s8) or "shift" (shiftmax_s8).
        gelu: "table" (lookup), "delta" (gelu_delta_s8) or "shift" (shift_gelu_s8).
        norm: "exact" (layer_norm_s8) or "newton" (i_layer_norm_s8).
        limit: that a ShiftGELU's input is cut off at; infinite cuts nothing.
    """

    softmax: Literal["table", "single_pass", "shift"] = "table"
    gelu: Literal["table", "delta", "shift"] = "table"
    norm: Literal["exact", "newton"] = "exact"
    limit: float = float("inf")


def with_forms(graph: Graph, forms: Forms) -> Graph:
    """The float graph with its softmaxes, GELUs and layer norms in these forms; all else as it was."""
    return replace(graph, ops=tuple(_formed(op, forms) for op in graph.ops))


def _formed(op: Op, forms: Forms) -> Op:
    if op.kind in ("softmax", "shiftmax"):
        return _changed(op, "shiftmax", {}) if forms.softmax == "shift" else _changed(op, "softmax", _form(forms))
    if op.kind in ("gelu", "shift_gelu"):
        return _gelu(op, forms)
    if op.kind == "layer_norm":
        form = "i_layer_norm" if forms.norm == "newton" else "exact"
        return replace(op, attrs={**op.attrs, "form": form})
    return op


def _form(forms: Forms) -> Mapping[str, Attr]:
    return {"form": forms.softmax}


def _gelu(op: Op, forms: Forms) -> Op:
    if forms.gelu == "shift":
        return _changed(op, "shift_gelu", {"limit": forms.limit})
    if forms.gelu == "delta":
        return _changed(op, "gelu", {"approximate": "delta"})
    return _changed(op, "gelu", {"approximate": "none"}) if op.kind == "shift_gelu" else op


def _changed(op: Op, kind: str, attrs: Mapping[str, Attr]) -> Op:
    return replace(op, kind=kind, attrs=attrs)
