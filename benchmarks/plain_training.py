"""The training of AdversarialAutoencoder with default parameters, as a loop by hand.

The same networks, batches, noise, losses, penalties and optimisers, drawn from the same seeds: the
weights come out as those of `fit`, to the bit. Rows are standardised before; nothing is recorded,
checked, or told to anybody.
"""

import copy
import math
import time

import torch
import torch.nn.functional as F
from skorch.callbacks import Callback

BETAS = (0.5, 0.99)  # of the discriminator's Adam
PENALTY_INTERVAL = 4


class Clock(Callback):
    """Times the training in `fit`, step by step in turn with the loop by hand if asked for.

    Parameters
    ----------
    by_hand : bool, default=False
        Whether after each step of `fit` the loop by hand makes the same one.

    Attributes
    ----------
    ours, plain : list of float
        Seconds of each step; what happens between two steps counts for the second.
    """

    def __init__(self, by_hand=False):
        self.by_hand = by_hand

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        self.ours, self.plain = [], []
        if self.by_hand:
            x = X[torch.arange(len(X))][0]
            self.networks = copy.deepcopy((net.module_, net.discriminators_["prior"]))
            critic = net.game.critics[0]
            self._steps = steps(
                x,
                *self.networks,
                seed=net.seed,
                batch_size=net.batch_size,
                n_epochs=net.max_epochs,
                lr=net.lr,
                discriminator_lr=net.discriminator_lr,
                noise=net.noise,
                weight=critic.weight,
                gradient_penalty=critic.gradient_penalty,
                null_deviance=net.null_deviance,
            )
        self._last = time.perf_counter()

    def on_batch_end(self, net, batch=None, training=None, **kwargs):
        now = time.perf_counter()
        self.ours.append(now - self._last)
        if self.by_hand:
            next(self._steps)
            self._last = time.perf_counter()
            self.plain.append(self._last - now)
        else:
            self._last = now

    def on_train_end(self, net, X=None, y=None, **kwargs):
        self.ours[-1] += time.perf_counter() - self._last

    def same_weights(self, net):
        """Whether both trainings ended in the same weights, to the bit."""
        pairs = zip(self.networks, (net.module_, net.discriminators_["prior"]), strict=True)
        return all(
            torch.equal(a, b)
            for mine, theirs in pairs
            for a, b in zip(mine.parameters(), theirs.parameters(), strict=True)
        )


def steps(
    x,
    autoencoder,
    discriminator,
    *,
    seed,
    batch_size,
    n_epochs,
    lr,
    discriminator_lr,
    noise,
    weight,
    gradient_penalty,
    null_deviance,
):
    """Train the networks in place on the rows of x, standardised, and yield after each step."""
    encoder, decoder = autoencoder.encoder, autoencoder.decoder
    lower, upper = autoencoder.lower, autoencoder.upper
    order_generator = torch.Generator().manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    trained = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(trained, lr=lr, fused=True)
    d_optimizer = torch.optim.Adam(
        discriminator.parameters(), lr=discriminator_lr, betas=BETAS, fused=True
    )
    n_batches = math.ceil(len(x) / batch_size)
    n_steps = n_epochs * n_batches
    step = 0
    for _ in range(n_epochs):
        for rows in torch.randperm(len(x), generator=order_generator).tensor_split(n_batches):
            late = max(0.0, 2 * step / n_steps - 1)
            factor = 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, late)))
            optimizer.param_groups[0]["lr"] = factor * lr
            d_optimizer.param_groups[0]["lr"] = factor * discriminator_lr

            x_batch = x[rows]
            half = len(x_batch) // 2
            eta = torch.randn((half, x.shape[1]), generator=generator)
            noisy = torch.cat([torch.add(x_batch[:half], eta, alpha=noise), x_batch[half:]])
            codes = encoder(noisy.clamp(lower, upper))
            clean = codes[half:]

            real = torch.randn(clean.shape, generator=generator)
            inputs = torch.cat([real, clean.detach()])
            penalized = step % PENALTY_INTERVAL == 0
            inputs.requires_grad_(penalized)
            logits = discriminator(inputs).squeeze(1)
            on_prior, on_codes = logits.chunk(2)
            d_loss = F.softplus(-on_prior).mean() + F.softplus(on_codes).mean()
            if penalized:
                (gradient,) = torch.autograd.grad(logits.sum(), inputs, create_graph=True)
                penalty = gradient.square().sum(dim=1).mean()
                d_loss = d_loss + PENALTY_INTERVAL * gradient_penalty * penalty
            d_optimizer.zero_grad()
            d_loss.backward()
            d_optimizer.step()

            reconstruction = (decoder(codes) - x_batch).square().mean(dim=1).mean() / null_deviance
            fooling = F.softplus(-discriminator(clean).squeeze(1)).mean()
            loss = reconstruction + weight * fooling
            optimizer.zero_grad()
            loss.backward(inputs=trained)
            optimizer.step()
            step += 1
            yield
