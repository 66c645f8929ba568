"""Lowerings of linear layers, matrix products and attention."""

import math

import numpy as np

from edgesmith.core.errors import Unsupported
from edgesmith.lower.builder import Builder
from edgesmith.lower.call import Call, Lowering
from edgesmith.lower.conv import bias_or_zeros

# Added to the logits that a mask forbids. exp(-100) is 4e-44: nothing, yet finite, so that it can be quantized.
FORBIDDEN = -100.0


def linear(b: Builder, call: Call) -> str:
    """x by weight (O, K) transposed."""
    weight = call.tensor("weight")
    return b.op("linear", call.tensor("input"), weight, bias_or_zeros(b, call["bias"], b.shape(weight)[0]))


def product(b: Builder, x: str, y: str) -> str:
    """x @ y with torch's rules for one-axis operands; a constant matrix on the right makes a linear layer."""
    if y in b.constants and len(b.shape(y)) == 2:
        weight = b.op("permute", y, axes=(1, 0))
        return b.op("linear", x, weight, b.filled("bias", b.shape(weight)[:1], 0.0))
    row, column = len(b.shape(x)) == 1, len(b.shape(y)) == 1
    left = b.op("reshape", x, shape=(1, *b.shape(x))) if row else x
    right = b.op("reshape", y, shape=(*b.shape(y), 1)) if column else y
    result = b.op("matmul", left, right)
    shape = b.shape(result)
    if row or column:
        kept = (*shape[:-2], *(() if row else shape[-2:-1]), *(() if column else shape[-1:]))
        return b.op("reshape", result, shape=kept)
    return result


def matmul(b: Builder, call: Call) -> str:
    """matmul, mm, bmm."""
    second = "other" if "other" in call.arguments else "mat2"
    return product(b, call.tensor("self"), call.tensor(second))


def addmm(b: Builder, call: Call) -> str:
    """beta * self + alpha * mat1 @ mat2."""
    if call["beta"] != 1 or call["alpha"] != 1:
        raise Unsupported("scales its parts; need alpha and beta of 1.")
    return b.op("add", product(b, call.tensor("mat1"), call.tensor("mat2")), call.tensor("self"))


def _mask(b: Builder, mask: str) -> str:
    """A mask as numbers to be added: a constant's "no" becomes FORBIDDEN."""
    if mask not in b.constants:
        if b.tensors[mask].dtype != "float32":
            raise Unsupported("has a mask that is computed; need a constant one, or one of floats.")
        return mask
    array = b.constants[mask]
    added = np.where(array, 0.0, FORBIDDEN) if array.dtype == np.bool_ else np.maximum(array, FORBIDDEN)
    return b.constant(f"{b.stem}.mask", added.astype(np.float32))


def attention(b: Builder, call: Call) -> str:
    """softmax(q k^T * scale + mask) v, written out."""
    query, key, value = (call.tensor(name) for name in ("query", "key", "value"))
    if call["dropout_p"]:
        raise Unsupported("drops out; need inference. Call module.eval() first.")
    if call.get("enable_gqa"):
        raise Unsupported("shares keys among heads; repeat them in the model.")
    scale = call["scale"] if call["scale"] is not None else 1 / math.sqrt(b.shape(query)[-1])
    logits = b.op("matmul", b.op("mul", query, b.scalar(float(scale), query)), key, transpose_b=True)
    if call["is_causal"]:
        rows, columns = b.shape(logits)[-2:]
        allowed = np.tril(np.ones((rows, columns), np.bool_))
        logits = b.op("add", logits, _mask(b, b.constant(f"{b.stem}.causal", allowed)))
    if call["attn_mask"] is not None:
        logits = b.op("add", logits, _mask(b, call["attn_mask"]))
    return b.op("matmul", b.op("softmax", logits), value)


LOWERINGS: dict[str, Lowering] = {
    "aten.linear.default": linear,
    "aten.matmul.default": matmul,
    "aten.mm.default": matmul,
    "aten.bmm.default": matmul,
    "aten.addmm.default": addmm,
    "aten.scaled_dot_product_attention.default": attention,
}
