"""The density of rows that integrates to one: nearest neighbours, and the volume they fill.

The references lie on the surface x -> (g(f(x)), s r(x)), s² = n_features / n_components, in twice
as many dimensions as rows have. A ball there holds less of the space of rows by the factor that the
surface is stretched by at x, sqrt(det M) with

    M = J'J + s² (I - J)'(I - J),

J being the Jacobian of decoding after encoding. With R the distance to the k-th nearest of m
references (Loftsgaarden and Quesenberry, 1965),

    log p(x) = log((k - 1) / m) - log V_d - d log R + log det M / 2.

J = A B is of the rank of the code, A being the Jacobian of the decoder and B that of the encoder:
M = s² I + U W U' with U = [A, B'] has a determinant of twice the width of the code.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sklearn_aae._learned.density import SAME, Density, DensityScore, log_ball
from sklearn_aae._rows.chunks import SelectedRows
from sklearn_aae._rows.inference import Inference

# The fewer, the more local the density; with two, single rows would rule its integral.
_N_NEIGHBORS = 3


def log_densities(
    inference: Inference, X: np.ndarray | SelectedRows, density: Density
) -> np.ndarray:
    """Log density of standardised rows in nats, (n_samples,)."""
    autoencoder = inference.in_dtype_of(X)
    score = DensityScore(density, X.dtype)
    d, m = inference.n_features, len(density.references)
    # A reference is left out of its own neighbours.
    k = max(1, min(_N_NEIGHBORS, m - 1))

    def log_density(x: Tensor) -> Tensor:
        decoded, residual = (part.cpu().numpy() for part in inference.split(autoencoder, x))
        squares, positions = score.neighbors(decoded, residual, k)
        share = np.full(len(x), k / m)
        if density.weights is not None:
            share = density.weights[positions].sum(axis=1)
        # Of one neighbour, the best that there is to say.
        log_share = np.log(share * max(1, k - 1) / k)
        radius = np.log(squares[:, -1] + SAME * d)
        volume = log_volume(inference, autoencoder, x, density.residual_scale)
        return torch.from_numpy(log_share - log_ball(d) - 0.5 * d * radius + volume)

    return inference.on_rows(log_density, X, None)


def log_volume(inference: Inference, autoencoder: Any, x: Tensor, scale: float) -> np.ndarray:
    """log det M / 2 of standardised rows x, (n_samples,)."""
    with torch.inference_mode(False), torch.enable_grad():
        B, A = _jacobians(inference, autoencoder, x.clone())  # as in the formula
    # det(s² I + U W U') = s^(2d) det(I + W U'U / s²).
    U = torch.cat([A, B.transpose(1, 2)], dim=2)
    k, weight = B.shape[1], scale**2
    gram = U.transpose(1, 2) @ U
    W = torch.zeros_like(gram)
    W[:, :k, k:] = W[:, k:, :k] = -weight * torch.eye(k, dtype=gram.dtype)
    W[:, k:, k:] = (1 + weight) * gram[:, :k, :k]
    small = torch.eye(2 * k, dtype=gram.dtype) + W @ gram / weight
    log_determinant = torch.linalg.slogdet(small).logabsdet
    return (x.shape[1] * math.log(scale) + 0.5 * log_determinant).numpy()


def _jacobians(inference: Inference, autoencoder: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Of the encoder (n, k, d) and, where it leads, of the decoder (n, d, k).

    In float64 on the CPU.
    """
    x.requires_grad_()
    z = autoencoder.encode(x, mapped=False)
    rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in z.unbind(1)]
    z = z.detach().requires_grad_()
    output = inference.mean(autoencoder.decoder(z))
    # Gradients A'u are linear in u: what u they come from are the columns of A.
    u = torch.zeros_like(output, requires_grad=True)
    (gradients,) = torch.autograd.grad(output, z, u, create_graph=True)
    columns = [
        torch.autograd.grad(gradient.sum(), u, retain_graph=True)[0]
        for gradient in gradients.unbind(1)
    ]
    slope = inference.slope(output.detach())
    encoder, decoder = torch.stack(rows, dim=1), slope[:, :, None] * torch.stack(columns, dim=2)
    return encoder.detach().cpu().double(), decoder.detach().cpu().double()
