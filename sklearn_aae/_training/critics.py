"""The adversarial losses as pure functions, and what one critic compares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sklearn_aae.priors import draw, has_classes


@dataclass(frozen=True)
class AdversarialLoss:
    """What the discriminator minimises on its two inputs, and what the encoder minimises.

    Each is a function of the discriminator's outputs, tensor (n,), to a loss for each row. Outputs
    above `border` say "prior".
    """

    on_prior: Callable[[Tensor], Tensor]
    on_codes: Callable[[Tensor], Tensor]
    fooling: Callable[[Tensor], Tensor]
    border: float = 0.0


# For a logit l, softplus(-l) = -log sigmoid(l) and softplus(l) = -log(1 - sigmoid(l)).
ADVERSARIAL_LOSSES: dict[str, AdversarialLoss] = {
    # Goodfellow et al. (2014), section 3, with the encoder maximising log D.
    "non_saturating": AdversarialLoss(
        on_prior=lambda logit: F.softplus(-logit),
        on_codes=F.softplus,
        fooling=lambda logit: F.softplus(-logit),
    ),
    # Mao et al. (2017), equation 9: targets 1 for the prior and 0 for codes.
    "least_squares": AdversarialLoss(
        on_prior=lambda logit: 0.5 * (logit - 1).square(),
        on_codes=lambda logit: 0.5 * logit.square(),
        fooling=lambda logit: 0.5 * (logit - 1).square(),
        border=0.5,
    ),
    # Lim and Ye (2017).
    "hinge": AdversarialLoss(
        on_prior=lambda logit: F.relu(1 - logit),
        on_codes=lambda logit: F.relu(1 + logit),
        fooling=torch.neg,
    ),
    # Arjovsky et al. (2017); the gradient penalty bounds the critic instead of clipped weights.
    "wasserstein": AdversarialLoss(
        on_prior=torch.neg, on_codes=lambda logit: logit, fooling=torch.neg
    ),
}


@dataclass(frozen=True)
class Critic:
    """One comparison of the game: codes, or a part of them, against draws from a prior.

    Parameters
    ----------
    name : str
        Key of its discriminator and of its losses.
    prior : object
        With ``sample(n_samples, generator)``.
    weight : float
        Factor of its fooling loss in the autoencoder's objective.
    loss : str
        Key of `ADVERSARIAL_LOSSES`.
    gradient_penalty : float
        Factor of the zero-centred penalty on the discriminator's gradient, on both inputs
        (Mescheder et al., 2018, equations 9 and 10).
    instance_noise : float
        Standard deviation of the noise on both inputs of the discriminator.
    n_classes : int
        Width of the one-hot label that joins the codes, 0 without labels.
    prior_sees_labels : bool
        Whether a prior with classes draws for each row from the component of its label. If not, a
        discriminator that sees labels makes the codes independent of them.
    columns : tuple of two int or None
        Part of the codes that is compared, from the first column up to the second; None for all.
    """

    name: str
    prior: Any
    weight: float
    loss: str = "non_saturating"
    gradient_penalty: float = 0.0
    instance_noise: float = 0.0
    n_classes: int = 0
    prior_sees_labels: bool = True
    columns: tuple[int, int] | None = None

    def n_inputs(self, n_components: int) -> int:
        """Input width of the discriminator where all codes have n_components columns."""
        start, stop = self.columns or (0, n_components)
        return stop - start + self.n_classes

    def part(self, codes: Tensor) -> Tensor:
        """What is compared of codes."""
        return codes if self.columns is None else codes[:, slice(*self.columns)]

    def inputs(self, z: Tensor, y: Tensor | None, generator: torch.Generator) -> Tensor:
        """What the discriminator sees of codes: noise added, the one-hot label joined."""
        if self.instance_noise > 0:
            noise = torch.randn(z.shape, generator=generator, device=z.device, dtype=z.dtype)
            z = z + self.instance_noise * noise
        return self.with_labels(z, y)

    def with_labels(self, z: Tensor, y: Tensor | None) -> Tensor:
        """Codes with the one-hot label joined, where the discriminator sees labels."""
        if self.n_classes == 0 or y is None:
            return z
        # One class more than the prior has stands for "unlabelled" (Makhzani et al., 2015,
        # section 2.3).
        unlabelled_last = torch.where(y < 0, self.n_classes - 1, y)
        return torch.cat([z, F.one_hot(unlabelled_last, self.n_classes).to(z.dtype)], dim=1)

    def discriminator_loss(
        self,
        discriminator: nn.Module,
        codes: Tensor,
        generator: torch.Generator,
        *,
        y: Tensor | None = None,
        weight: Tensor | None = None,
        penalty_factor: float = 1.0,
    ) -> dict[str, Tensor]:
        """Loss of the discriminator on detached codes (n, n_components), by name.

        `weight` (n,) weighs the rows of codes, `penalty_factor` the gradient penalty of this step.
        """
        y = y if self.n_classes else None
        placed = self.prior_sees_labels and has_classes(self.prior)
        real = draw(self.prior, len(codes), generator, y if placed else None)
        # Prior and codes go through the network as one batch: half the calls.
        both_y = None if y is None else torch.cat([y, y])
        inputs = self.inputs(torch.cat([real, codes.detach()]), both_y, generator)
        penalized = self.gradient_penalty > 0 and penalty_factor > 0
        inputs.requires_grad_(penalized)
        # Float32 also where the network computes in bfloat16.
        logits = discriminator(inputs).squeeze(1).to(codes.dtype)
        logits_real, logits_code = logits.chunk(2)
        loss = ADVERSARIAL_LOSSES[self.loss]
        value = loss.on_prior(logits_real).mean() + weighted_mean(
            loss.on_codes(logits_code), weight
        )
        right = torch.count_nonzero(logits_real > loss.border)
        right += torch.count_nonzero(logits_code <= loss.border)
        losses = {"discriminator": value, "accuracy": right / len(logits)}
        if penalized:
            (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
            # Codes move, labels do not.
            squared_norm = gradient[:, : codes.shape[1]].square().sum(dim=1)
            if weight is not None:
                squared_norm = squared_norm * torch.cat([torch.ones_like(weight), weight])
            losses["penalty"] = penalty_factor * self.gradient_penalty * squared_norm.mean()
        return losses

    def fooling_loss(
        self,
        discriminator: nn.Module,
        codes: Tensor,
        generator: torch.Generator,
        *,
        y: Tensor | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Loss of the encoder, before the critic's weight: codes should pass for the prior's."""
        logits = discriminator(self.inputs(codes, y, generator)).squeeze(1).to(codes.dtype)
        return weighted_mean(ADVERSARIAL_LOSSES[self.loss].fooling(logits), weight)


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of values (n,) with weights of mean 1 over the training set, or without."""
    return values.mean() if weight is None else (values * weight).mean()


def sliced_wasserstein_distance(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    """Wasserstein-1 distance of two samples, averaged over projections.

    Parameters
    ----------
    a, b : Tensor of shape (n, n_components)
        Samples of equal size.
    directions : Tensor of shape (n_components, n_directions)
        Unit vectors in columns.

    References
    ----------
    Bonneel et al. (2015), "Sliced and Radon Wasserstein barycenters of measures".
    """
    projected_a = (a @ directions).sort(dim=0).values
    projected_b = (b @ directions).sort(dim=0).values
    return (projected_a - projected_b).abs().mean()
