"""Derivatives of a decoder layer, cut open at its matrices as `LayerMath` is: from what follows to what came before."""

import numpy as np

from export.calibration.layer import LayerMath, unseen


def normed_back(math: LayerMath, x: np.ndarray, gain: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """`grad` [T, hidden] of the norm's output to that of its input x [T, hidden].

    y = g x / r with r² = mean(x²) + ε, so dx = (g dy − x · mean(x g dy) / r²) / r.
    """
    power = np.einsum("ij,ij->i", x, x) / x.shape[1] + np.float32(math.spec.norm_epsilon)
    scaled = grad * gain
    along = np.einsum("ij,ij->i", x, scaled) / x.shape[1] / power
    back: np.ndarray = (scaled - x * along[:, None]) / np.sqrt(power)[:, None]
    return back


def gated_back(math: LayerMath, both: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """`grad` [T, intermediate] of silu(gate) · up to that of gate and up, [T, 2 · intermediate]."""
    wide = math.spec.intermediate_size
    gate, up = both[:, :wide], both[:, wide:]
    with np.errstate(over="ignore"):
        sigmoid = 1 / (1 + np.exp(-gate))
    silu = gate * sigmoid
    return np.concatenate([grad * up * (sigmoid + silu * (1 - sigmoid)), grad * silu], axis=1)


def attended_back(math: LayerMath, qkv: np.ndarray, grad: np.ndarray) -> np.ndarray:
    """`grad` [T, heads · head size] of attention's output to that of its input, [T, qkv rows]."""
    spec, tokens = math.spec, len(qkv)
    query, key, value = math.split(qkv)
    grads = grad.reshape(tokens, spec.heads, spec.head_size).transpose(1, 0, 2)
    to_query, to_key, to_value = np.empty_like(query), np.zeros_like(key), np.zeros_like(value)
    hidden = unseen(tokens, spec.sliding_window)
    for head in range(spec.heads):
        shared = head // (spec.heads // spec.kv_heads)
        weights = math.attention(query[head], key[shared], hidden)
        to_value[shared] += weights.T @ grads[head]
        to_weights = grads[head] @ value[shared].T
        to_scores = weights * (to_weights - np.einsum("ij,ij->i", to_weights, weights)[:, None])
        to_scores *= np.float32(math.scale)
        to_query[head] = to_scores @ key[shared]
        to_key[shared] += to_scores.T @ query[head]
    parts = math.rotated(to_query, back=True), math.rotated(to_key, back=True), to_value
    return np.concatenate([part.transpose(1, 0, 2).reshape(tokens, -1) for part in parts], axis=1)
