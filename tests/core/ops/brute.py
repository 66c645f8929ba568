"""docs/numbers.md once more, in plain Python integers and loops: an independent oracle for the integer ops."""

import math
from collections.abc import Iterator
from itertools import product
from typing import Any

import numpy as np


def requant(acc: int, m: int, s: int) -> int:
    """Requantization, from the document."""
    return (acc * int(m) + (1 << (int(s) - 1))) >> int(s)


def rshift(v: int, n: int) -> int:
    """v / 2^n, halves up."""
    return (v + (1 << (n - 1))) >> n if n >= 1 else v


def clamp8(v: int, a: dict[str, Any]) -> int:
    """Saturate to the op's bounds."""
    return min(a["high"], max(a["low"], v))


def clamp16(v: int) -> int:
    """Saturate to int16."""
    return min(32767, max(-32768, v))


def finish(acc: int, m: int, s: int, a: dict[str, Any]) -> int:
    """Requantize, add the zero point, clamp."""
    return clamp8(a["y_zero"] + requant(acc, m, s), a)


def cells(a: dict[str, Any], oy: int, ox: int, kh: int, kw: int) -> Iterator[tuple[int, int, int, int]]:
    """(ky, kx, iy, ix) of a window; iy, ix may lie outside the input."""
    for ky, kx in product(range(kh), range(kw)):
        iy = oy * a["stride"][0] + ky * a["dilation"][0] - a["padding"][0]
        yield ky, kx, iy, ox * a["stride"][1] + kx * a["dilation"][1] - a["padding"][2]


def conv2d_s8(x, w, b, m, s, a, shape):
    height, width, channels = x.shape[1:]
    out, kh, kw, per = w.shape
    y = np.zeros(shape, np.int64)
    for oy, ox, o in product(*map(range, shape[1:])):
        base, acc = o // (out // a["groups"]) * per, int(b[o])
        for ky, kx, iy, ix in cells(a, oy, ox, kh, kw):
            inside = 0 <= iy < height and 0 <= ix < width
            for c in range(per):
                acc += (int(x[0, iy, ix, base + c]) if inside else a["x_zero"]) * int(w[o, ky, kx, c])
        y[0, oy, ox, o] = finish(acc, m[o], s[o], a)
    return y


def conv_transpose2d_s8(x, w, b, m, s, a, shape):
    out, kh, kw, per = w.shape
    accs = np.empty(shape[1:], object)
    accs[...] = [int(v) for v in b]
    for iy, ix, ky, kx, o in product(range(x.shape[1]), range(x.shape[2]), range(kh), range(kw), range(out)):
        oy = iy * a["stride"][0] + ky * a["dilation"][0] - a["padding"][0]
        ox = ix * a["stride"][1] + kx * a["dilation"][1] - a["padding"][2]
        if 0 <= oy < shape[1] and 0 <= ox < shape[2]:
            base = o // (out // a["groups"]) * per
            for c in range(per):
                accs[oy, ox, o] += (int(x[0, iy, ix, base + c]) - a["x_zero"]) * int(w[o, ky, kx, c])
    return [[[[finish(acc, m[o], s[o], a) for o, acc in enumerate(cell)] for cell in row] for row in accs]]


def linear_s8(x, w, b, m, s, a, shape):
    rows = x.reshape(-1, x.shape[-1]).tolist()
    y = []
    for row in rows:
        for o, taps in enumerate(w.tolist()):
            acc = int(b[o]) + sum(p * q for p, q in zip(row, taps, strict=True))
            y.append(finish(acc, m[o], s[o], a))
    return np.array(y).reshape(shape)


def matmul_s8(p, q, a, shape):
    q = q.swapaxes(-1, -2) if a["transpose_b"] else q
    p = np.broadcast_to(p, (*shape[:-2], *p.shape[-2:]))
    q = np.broadcast_to(q, (*shape[:-2], *q.shape[-2:]))
    y = np.zeros(shape, np.int64)
    for *batch, i, j in product(*map(range, shape)):
        row, column = p[(*batch, i)].tolist(), q[(*batch, slice(None), j)].tolist()
        acc = sum((u - a["a_zero"]) * (v - a["b_zero"]) for u, v in zip(row, column, strict=True))
        y[(*batch, i, j)] = finish(acc, a["multiplier"], a["shift"], a)
    return y


def pairs(p, q, function):
    """A function of two integers over broadcast arrays."""
    p, q = np.broadcast_arrays(p, q)
    return np.array([function(u, v) for u, v in zip(p.ravel().tolist(), q.ravel().tolist(), strict=True)]).reshape(
        p.shape
    )


def add_s8(p, q, a, shape):
    def one(u, v):
        total = (u - a["a_zero"]) * a["a_multiplier"] + (v - a["b_zero"]) * a["b_multiplier"]
        return clamp8(a["y_zero"] + rshift(total, a["shift"]), a)

    return pairs(p, q, one)


def weight_of(code: int) -> int:
    """A byte of two terms, from the document."""
    return sum((-1 if n & 8 else 1) * 2 ** ((n & 7) - 1) for n in (code & 15, code >> 4) if n & 7)


def shift_add_conv2d_s8(x, codes, b, a, shape):
    w = np.array([weight_of(code) for code in codes.ravel().tolist()], np.int64).reshape(codes.shape)
    one = np.full(len(b), 1 << 30), np.full(len(b), 30 + a["shift"])
    return conv2d_s8(x, w, b, *one, a, shape)


def shift_add_s8(p, q, a, shape):
    def one(u, v):
        total = (u - a["a_zero"]) * 2 ** a["a_left"] + (v - a["b_zero"]) * 2 ** a["b_left"]
        return clamp8(a["y_zero"] + rshift(total, a["shift"]), a)

    return pairs(p, q, one)


def rescale_s8(x, a, shape):
    return [clamp8(a["y_zero"] + rshift((v - a["x_zero"]) * a["multiplier"], a["shift"]), a) for v in x.tolist()]


def mul_s8(p, q, a, shape):
    return pairs(p, q, lambda u, v: finish((u - a["a_zero"]) * (v - a["b_zero"]), a["multiplier"], a["shift"], a))


def div_s8(p, q, a, shape):
    def one(u, v):
        n, d = (u - a["a_zero"]) * a["multiplier"], (v - a["b_zero"]) << a["shift"]
        if d == 0:
            return a["high"] if n > 0 else a["low"] if n < 0 else clamp8(a["y_zero"], a)
        n, d = (-n, -d) if d < 0 else (n, d)
        return clamp8(a["y_zero"] + (2 * n + d) // (2 * d), a)

    return pairs(p, q, one)


def avg_pool2d_s8(x, m, s, a, shape):
    y = np.zeros(shape, np.int64)
    kh, kw = a["kernel"]
    for oy, ox, c in product(*map(range, shape[1:])):
        found = [
            int(x[0, iy, ix, c]) - a["x_zero"]
            for _, _, iy, ix in cells(a, oy, ox, kh, kw)
            if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]
        ]
        n = kh * kw if a["count_include_pad"] else len(found)
        y[0, oy, ox, c] = finish(sum(found), m[n - 1], s[n - 1], a)
    return y


def max_pool2d(x, a, shape):
    y = np.zeros(shape, x.dtype)
    for oy, ox, c in product(*map(range, shape[1:])):
        y[0, oy, ox, c] = max(
            x[0, iy, ix, c]
            for _, _, iy, ix in cells(a, oy, ox, *a["kernel"])
            if 0 <= iy < x.shape[1] and 0 <= ix < x.shape[2]
        )
    return y


def reduce_sum_s8(x, a, shape):
    sums: dict[tuple[int, ...], int] = {}
    for place in product(*map(range, x.shape)):
        kept = tuple(0 if i in a["axes"] else p for i, p in enumerate(place))
        sums[kept] = sums.get(kept, 0) + int(x[place]) - a["x_zero"]
    return np.array([finish(sums[k], a["multiplier"], a["shift"], a) for k in sorted(sums)]).reshape(shape)


def softmax_s8(x, table, a, shape):
    y = []
    for row in x.tolist():
        e = [int(table[max(row) - v]) for v in row]
        assert 512 * max(e) + sum(e) < 1 << 32 and 2 * sum(e) < 1 << 32
        y.append([min(127, (512 * v + sum(e)) // (2 * sum(e)) - 128) for v in e])
    return y


def normalized(d, eps_q):
    """z of the norms, in Q10."""
    v = (sum(q * q for q in d) << 14) // len(d) + max(eps_q, 1)
    r = math.isqrt(v)
    e = r.bit_length()
    inv = (1 << (30 + e)) // r
    assert v < 1 << 64 and inv <= 1 << 31
    return [(q * inv + (1 << (12 + e))) >> (13 + e) for q in d]


def layer_norm_s8(x, gamma, beta, a, shape):
    return [_scale([len(r) * v - sum(r) for v in r], gamma, beta, a) for r in x.tolist()]


def rms_norm_s8(x, gamma, beta, a, shape):
    return [_scale([v - a["x_zero"] for v in r], gamma, beta, a) for r in x.tolist()]


def _scale(d, gamma, beta, a):
    z = normalized(d, a["eps_q"])
    accs = [v * g + c for v, g, c in zip(z, gamma.tolist(), beta.tolist(), strict=True)]
    assert all(abs(acc) < 1 << 31 for acc in accs)
    return [finish(acc, a["multiplier"], a["shift"], a) for acc in accs]


def shift_exp(u, octaves):
    """floor(2^octaves * 1024 * (1 - r / 2) / 2^q), u / 1024 * 1.0111b = q + r rounded up where it has halves."""
    half, sixteenth = -(-u // 2), -(-u // 16)
    q, f = divmod(min(u + half - sixteenth, octaves * 1024), 1024)
    e = (2048 - f) * 2 ** (octaves - q)
    assert e < 1 << 32
    return e // 2


def share(e, total):
    bits = total.bit_length()
    upper = (total << 16) >> bits
    return (e * (0xFFFFFFFF // upper)) >> (bits + 1)


def probability(part):
    return min(127, rshift(part, 7) - 128)


def shiftmax_s8(x, a, shape):
    y = []
    for row in x.tolist():
        octaves = min(15, 22 - len(row).bit_length())
        e = [shift_exp(rshift((max(row) - v) * a["exp_multiplier"], a["exp_shift"]), octaves) for v in row]
        assert sum(e) < 1 << 32
        y.append([probability(share(v, sum(e))) for v in e])
    return y


def shift_gelu_s8(x, a, shape):
    y = []
    for row in x.tolist():
        z = [min(v, a["limit"]) - a["x_zero"] for v in row]
        most = max(*z, 0)
        zero, *e = (shift_exp(rshift((most - v) * a["exp_multiplier"], a["exp_shift"]), 20) for v in (0, *z))
        assert max(e) + zero < 1 << 32
        y.append([finish(v * share(p, p + zero), a["multiplier"], a["shift"], a) for v, p in zip(z, e, strict=True)])
    return y


def i_layer_norm_s8(x, gamma, beta, a, shape):
    y = []
    for row in x.tolist():
        n = len(row)
        u = [(v + 128) << ((16 - (n - 1).bit_length()) // 2) for v in row]
        mean = math.floor(sum(u) / n + 0.5)
        v = sum((w - mean) ** 2 for w in u)
        assert v < 1 << 32
        factor = (2**31 - 1) // max(math.isqrt(v), 1)
        z = [rshift(((w - mean) * factor) // 2, 15) for w in u]
        accs = [w * g + c for w, g, c in zip(z, gamma.tolist(), beta.tolist(), strict=True)]
        assert all(abs(acc) < 1 << 31 for acc in accs)
        y.append([finish(acc, a["multiplier"], a["shift"], a) for acc in accs])
    return y


def single_pass_softmax_s8(x, table, a, shape):
    y = []
    for row in x.tolist():
        most, total = row[0], 1 << a["unit_bits"]
        for v in row[1:]:
            if v > most:
                total, most = ((total * int(table[v - most])) >> a["unit_bits"]) + (1 << a["unit_bits"]), v
            else:
                total += int(table[most - v])
        y.append([probability(share(int(table[most - v]), total)) for v in row])
    return y


def gelu_delta_s8(x, table, a, shape):
    def one(v):
        t = rshift(abs(v) * a["exp_multiplier"], a["exp_shift"])
        i, f = divmod(t, 256)
        low, high = (int(table[min(j, 160)]) for j in (i, i + 1))
        delta = 0 if i >= 160 else low + ((high - low) * f + 128) // 256
        return finish(rshift(max(v, 0) * a["relu_multiplier"], a["relu_shift"]) - delta, a["multiplier"], a["shift"], a)

    return [[one(v - a["x_zero"]) for v in row] for row in x.tolist()]


def lookup(x, table, a, shape):
    index = x.view(np.uint8)
    return [[int(table[v] if table.ndim == 1 else table[c][v]) for c, v in enumerate(row)] for row in index.tolist()]


def through(table, g):
    """A gate through its table."""
    i, f, t = (g + 32768) >> 7, (g + 32768) & 127, table.tolist()
    return t[i] + (((t[i + 1] - t[i]) * f + 64) >> 7)


def gate(row, w, b, m, s, o):
    """One row of gx or gh."""
    return requant(int(b[o]) + sum(p * q for p, q in zip(row, w[o].tolist(), strict=True)), m[o], s[o])


def hidden8(value, a):
    """The int8 h of a 32-bit value."""
    return clamp8(a["h_zero"] + requant(value, a["multiplier"], a["shift"]), a)


def lstm_s8(x, h0, c0, w_ih, w_hh, b_ih, b_hh, im, is_, hm, hs, sigmoid, tanh, a, shape):
    h, c, k, n = h0.tolist(), c0.tolist(), a["cell_bits"], len(h0)
    ys = []
    for row in x[:, 0].tolist():
        g = [clamp16(gate(row, w_ih, b_ih, im, is_, o) + gate(h, w_hh, b_hh, hm, hs, o)) for o in range(4 * n)]
        h = list(h)
        for j in range(n):
            i, f, o = (through(sigmoid, g[part * n + j]) for part in (0, 1, 3))
            c[j] = clamp16(rshift(f * c[j], 15) + rshift(i * through(tanh, g[2 * n + j]), 30 - k))
            q = clamp16(rshift(c[j], k - 12) if k >= 12 else c[j] << (12 - k))
            h[j] = hidden8(o * through(tanh, q), a)
        ys.append([h])
    return ys, h, c


def gru_s8(x, h0, w_ih, w_hh, b_ih, b_hh, im, is_, hm, hs, sigmoid, tanh, a, shape):
    h, n = h0.tolist(), len(h0)
    ys = []
    for row in x[:, 0].tolist():
        h8 = [hidden8(v, a) for v in h]
        gx = [gate(row, w_ih, b_ih, im, is_, o) for o in range(3 * n)]
        gh = [gate(h8, w_hh, b_hh, hm, hs, o) for o in range(3 * n)]
        for j in range(n):
            r, z = (through(sigmoid, clamp16(gx[part * n + j] + gh[part * n + j])) for part in (0, 1))
            new = through(tanh, clamp16(gx[2 * n + j] + rshift(r * clamp16(gh[2 * n + j]), 15)))
            h[j] = clamp16(rshift((32768 - z) * new + z * h[j], 15))
        ys.append([[hidden8(v, a) for v in h]])
    return ys, h


def fft(v, twiddle):
    """The document's FFT, one butterfly after another."""
    n = len(v)
    bits = n.bit_length() - 1
    re = [v[int(format(i, f"0{bits}b")[::-1], 2)] for i in range(n)]
    im, half = [0] * n, 1
    while half < n:
        for start, j in product(range(0, n, 2 * half), range(half)):
            cos, sin = (int(t) for t in twiddle[j * (n // (2 * half))])
            p, q = start + j, start + j + half
            tr, ti = rshift(cos * re[q] - sin * im[q], 30), rshift(cos * im[q] + sin * re[q], 30)
            re[p], re[q], im[p], im[q] = re[p] + tr, re[p] - tr, im[p] + ti, im[p] - ti
        half *= 2
    return re, im


def log2_q12(e, table):
    """log2 of an integer in Q12."""
    k = e.bit_length() - 1
    f = (e << 16 >> k) & 0xFFFF
    i, t = f >> 8, table.tolist()
    return (k << 12) + t[i] + (((t[i + 1] - t[i]) * (f & 255) + 128) >> 8)


def log_mel_s8(x, window, twiddle, first, count, weights, log_table, a, shape):
    y = []
    for frame in range(shape[1]):
        part = x[0, frame * a["hop"] :].tolist()
        v = [rshift(s * w, 12) for s, w in zip(part, window.tolist(), strict=False)]
        re, im = fft(v + [0] * (a["n_fft"] - len(v)), twiddle)
        assert max(map(abs, re + im)) < 1 << 31
        p = [(r * r + i * i) >> 6 for r, i in zip(re, im, strict=True)]
        row, place = [], 0
        for start, n in zip(first.tolist(), count.tolist(), strict=True):
            e = sum(int(weights[place + k]) * p[start + k] for k in range(n)) + 1
            place += n
            row.append(finish(log2_q12(e, log_table) - 49152, a["multiplier"], a["shift"], a))
        y.append(row)
    return [y]


def quantize(x, p, q, a, shape):
    y = []
    for row in x:
        for c, v in enumerate(row):
            k = c if len(p) > 1 else 0
            with np.errstate(all="ignore"):
                t = np.float32(np.float32(v * p[k]) + q[k])
            clamped = np.float32(-128) if math.isnan(t) else max(np.float32(-128), min(np.float32(127), t))
            y.append(int(np.float32(clamped + np.float32(128.5))) - 128)
    return np.array(y).reshape(shape)


def sign(words, c):
    """+1 or -1: bit c % 32 of word c // 32."""
    return 1 if int(words[c // 32]) >> (c % 32) & 1 else -1


def binarize(x, a, shape):
    rows = x.reshape(-1, x.shape[-1])
    y = [[sum(1 << (c % 32) for c, v in enumerate(row) if c // 32 == k and v >= a["zero"]) for k in range(shape[-1])]
         for row in rows]  # fmt: skip
    return np.array(y).reshape(shape)


def binary_sums(x, w, a, size):
    """acc by (oy, ox, o); w: by channel, {(ky, kx, c): sign}."""
    height, width = x.shape[1:3]
    sums = np.zeros((*size, len(w)), np.int64)
    for oy, ox in product(*map(range, size)):
        rows = 1 + max(ky for ky, _, _ in w[0]), 1 + max(kx for _, kx, _ in w[0])
        where = {(ky, kx): (iy, ix) for ky, kx, iy, ix in cells(a, oy, ox, *rows)}
        for o, signs in enumerate(w):
            for (ky, kx, c), s in signs.items():
                iy, ix = where[ky, kx]
                inside = 0 <= iy < height and 0 <= ix < width
                sums[oy, ox, o] += s * (sign(x[0, iy, ix], c) if inside else -1)
    return sums


def plain_signs(w, a):
    out, kh, kw, _ = w.shape
    return [{(ky, kx, c): sign(w[o, ky, kx], c) for ky, kx, c in product(range(kh), range(kw), range(a["channels"]))}
            for o in range(out)]  # fmt: skip


def tree_signs(root, tree, a):
    """Channel by channel: a copy of the last one that is one level up, with its differences."""
    kh, kw, _ = root.shape
    names = list(product(range(kh), range(kw), range(a["channels"])))
    entries = tree.tolist()
    found = {entries[0]: plain_signs(root[None], a)[0]}
    last = [found[entries[0]]]
    rest = entries[1:]
    while rest:
        channel, level, count, *rest = rest
        row = dict(last[level - 1])
        for code in rest[:count]:
            row[names[code // 2]] = 1 if code % 2 else -1
        found[channel], last, rest = row, [*last[:level], row], rest[count:]
    return [found[o] for o in range(len(found))]


def compared_signs(sums, threshold):
    bits = np.zeros((1, *sums.shape[:2], -(-len(threshold) // 32)), np.int64)
    for oy, ox, o in product(*map(range, sums.shape)):
        bits[0, oy, ox, o // 32] += (int(sums[oy, ox, o]) >= int(threshold[o])) << (o % 32)
    return bits


def shifted_sums(sums, b, m, s, a):
    y = [
        finish((int(sums[oy, ox, o]) << 8) + int(b[o]), m[o], s[o], a) for oy, ox, o in product(*map(range, sums.shape))
    ]
    return np.array(y).reshape(1, *sums.shape)


def binary_conv2d(x, w, threshold, a, shape):
    return compared_signs(binary_sums(x, plain_signs(w, a), a, shape[1:3]), threshold)


def binary_conv2d_s8(x, w, b, m, s, a, shape):
    return shifted_sums(binary_sums(x, plain_signs(w, a), a, shape[1:3]), b, m, s, a)


def mst_conv2d(x, root, tree, threshold, a, shape):
    return compared_signs(binary_sums(x, tree_signs(root, tree, a), a, shape[1:3]), threshold)


def mst_conv2d_s8(x, root, tree, b, m, s, a, shape):
    return shifted_sums(binary_sums(x, tree_signs(root, tree, a), a, shape[1:3]), b, m, s, a)
