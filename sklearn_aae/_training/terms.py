"""What an autoencoder minimises besides reconstruction and the fooling of critics."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from sklearn_aae._training.critics import weighted_mean


class Batch(NamedTuple):
    """What the step knows of its batch: rows x, their codes and targets.

    The codes of the first `n_corrupted` rows are those of the rows with noise.
    """

    x: Tensor
    codes: Tensor
    targets: dict[str, Any]
    n_corrupted: int


def cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    """-sum of p log q in nats, (n,), for probabilities p and q (n, n_classes)."""
    return -(p * q.clamp(min=torch.finfo(q.dtype).tiny).log()).sum(dim=1)


def last_start(terms: Iterable[Any]) -> float:
    """Share of the training after which all terms that count have begun."""
    return max((getattr(term, "START", 0.0) for term in terms if term.weight > 0), default=0.0)


def reweighted(q: Tensor, ratio: np.ndarray | None) -> Tensor:
    """Class probabilities q (n, n_classes) where shares of classes are other ones, by their ratio.

    What holds with some shares holds with others once it is multiplied by the ratio of the shares
    (Saerens et al., 2002; as "logit adjustment" in Menon et al., 2021).
    """
    if ratio is None:
        return q
    q = q * torch.as_tensor(ratio, dtype=q.dtype, device=q.device)
    return q / q.sum(dim=1, keepdim=True).clamp(min=torch.finfo(q.dtype).tiny)


@dataclass(frozen=True)
class Classification:
    """Cross-entropy of the category head on labelled rows (Makhzani et al., 2015, section 4).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    ratio : ndarray of shape (n_classes,), default=None
        Shares of the classes among labelled rows over those among all rows, for which the head's
        probabilities hold; None where they are the same.
    class_weight : ndarray of shape (n_classes,), default=None
        Factor of the weight of each class; None for all the same.
    trust : float, default=1.0
        From 0 to 1, how far a row is of its class, and not one draw of those that are likely for
        rows like it: the network learns a mixture of the label and of the target "guide".

    References
    ----------
    Menon, Jayasumana, Rawat, Jain, Veit and Kumar (2021), "Long-tail learning via logit
    adjustment", https://arxiv.org/abs/2007.07314
    """

    weight: float
    ratio: np.ndarray | None = None
    class_weight: np.ndarray | None = None
    trust: float = 1.0
    name: str = "classification"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Loss on the labelled rows that come with the batch, or on those of the batch itself."""
        autoencoder = net.module_
        targets, codes = batch.targets, batch.codes
        if "labelled" in targets:
            x, targets = targets["labelled"]
            codes = autoencoder.encode(net.corrupted(x, len(x)), net.generator_)
        q = codes[:, autoencoder.n_components :]
        losses = self.of_rows(q, targets["y"], targets.get("guide"))
        return weighted_mean(losses, targets.get("sample_weight"))

    def of_rows(self, q: Tensor, y: Tensor, guide: Tensor | None = None) -> Tensor:
        """Loss (n,) in nats of probabilities q (n, n_classes) with labels y (n,), 0 of others."""
        q = reweighted(q, self.ratio)
        p = torch.nn.functional.one_hot(y.clamp(min=0), q.shape[1]).to(q.dtype)
        if guide is not None:
            p = self.trust * p + (1 - self.trust) * guide.to(q.dtype)
        p = p * (y >= 0)[:, None]
        if self.class_weight is not None:
            p = p * torch.as_tensor(self.class_weight, dtype=q.dtype, device=q.device)
        return cross_entropy(p, q)


@dataclass(frozen=True)
class Placement:
    """How surely the codes of labelled rows lie on the component of their class.

    The cross-entropy of the component given the code, p(y|z), which the prior knows. The critic
    that sees the labels wants the same in the end, but alone it sorts classes slowly.

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    prior : object
        With ``component_log_prob(z)``, tensor (n, n_classes).
    """

    weight: float
    prior: Any
    name: str = "placement"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean over the labelled rows of the batch in nats, 0 if there are none."""
        y = batch.targets["y"]
        p = self.prior.component_log_prob(batch.codes).log_softmax(dim=1)
        own = -p.gather(1, y.clamp(min=0)[:, None]).squeeze(1)
        labelled = (y >= 0).to(own.dtype)
        weight = labelled * batch.targets.get("sample_weight", 1.0)
        return (own * weight).sum() / labelled.sum().clamp(min=1)


@dataclass(frozen=True)
class Guidance:
    """Cross-entropy of the category head on classes that a graph of neighbours suggests.

    A network sees one batch at a time, and which rows end in one class is decided early, by what
    it learns first. A graph of all rows tells roughly, before the training, and the training
    refines it (as in Iscen et al., 2019, where labels spread anew in each epoch).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    name : str
        Of its loss.
    stop : float, default=inf
        Share of the training after which it counts less, or not at all.
    rest : float, default=0.0
        Share of the weight that it has from then on, and that rows have however unsure they are.
    ratio : ndarray of shape (n_classes,), default=None
        Shares for which the graph's classes hold over those for which the head's do; None where
        they are the same.

    References
    ----------
    Iscen, Tolias, Avrithis and Chum (2019), "Label propagation for deep semi-supervised learning",
    https://arxiv.org/abs/1904.04717
    """

    weight: float
    name: str
    stop: float = math.inf
    rest: float = 0.0
    ratio: np.ndarray | None = None

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean over the batch in nats, of rows weighted by how sure the graph is of them."""
        share = self.rest if net.progress_ >= self.stop else 1.0
        if "guide" not in batch.targets or share == 0:
            return batch.x.new_zeros(())
        q = reweighted(batch.codes[:, net.module_.n_components :], self.ratio)
        p = batch.targets["guide"].to(q.dtype)
        sureness = 1 - cross_entropy(p, p) / math.log(p.shape[1])
        counts = self.rest + (1 - self.rest) * sureness
        loss = weighted_mean(counts * cross_entropy(p, q), batch.targets.get("sample_weight"))
        return share * loss


@dataclass(frozen=True)
class VirtualAdversarial:
    """How much the class probabilities of a row change on the way to its worst neighbour.

    The divergence KL(q(y|x) || q(y|x + r)), where r of a given length is the direction that raises
    it most, found by one step of the power method (Miyato et al., 2019, algorithm 1). It needs no
    labels: boundaries between classes move to where there are few rows.

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    radius : float
        Length of r, in units of the root mean square distance of rows from their mean.

    References
    ----------
    Miyato, Maeda, Koyama and Ishii (2019), "Virtual adversarial training: a regularization method
    for supervised and semi-supervised learning", https://arxiv.org/abs/1704.03976
    """

    weight: float
    radius: float
    name: str = "virtual_adversarial"

    # Length of the first, random step, in the same units.
    _PROBE = 0.1

    # Share of the training before which it is left out. From the start on, it may make the first
    # split that goes through few rows final, before the labels have shaped the features: in a
    # prototype with 100 labelled MNIST digits, half of the 4s and 9s were then swapped for one draw
    # of labels (12 % error, and 3.7 % with this start).
    START: ClassVar[float] = 0.3

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean divergence in nats over the rows without noise."""
        if net.progress_ < self.START:
            return batch.x.new_zeros(())
        autoencoder = net.module_
        k = autoencoder.n_components
        x = batch.x[batch.n_corrupted :]
        p = batch.codes[batch.n_corrupted :, k:].detach()
        # Missing cells, which are NaN, count as at the centre.
        unit = batch.x.nan_to_num(0.0).var(dim=0, correction=0).sum().sqrt()

        # Steps lead out of the training range too. Within it, as for all pixels that are 0, they
        # could only brighten, and so far that no class was left: of 100 labelled MNIST digits the
        # error was 58 % (with steps in all directions: see benchmarks/semi_supervised.py).
        def q(r: Tensor) -> Tensor:
            return autoencoder.encode(x + r, bounded=False)[:, k:]

        r = torch.randn(x.shape, generator=net.generator_, device=x.device)
        r = (self._PROBE * unit * r / r.norm(dim=1, keepdim=True)).requires_grad_()
        (gradient,) = torch.autograd.grad(cross_entropy(p, q(r)).sum(), r)
        # Where the classes are certain the gradient is so small that its square is 0.
        tiny = torch.finfo(x.dtype).tiny
        direction = gradient / gradient.abs().amax(dim=1, keepdim=True).clamp(min=tiny)
        r = self.radius * unit * torch.nn.functional.normalize(direction, dim=1)
        divergence = cross_entropy(p, q(r)) - cross_entropy(p, p)
        weight = batch.targets.get("sample_weight")
        return weighted_mean(divergence, None if weight is None else weight[batch.n_corrupted :])


@dataclass(frozen=True)
class Separation:
    """Pushes cluster heads apart that are near each other (Makhzani et al., 2015, section 7).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    distance : float
        Heads further apart than this cost nothing.
    """

    weight: float
    distance: float
    name: str = "separation"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean over pairs of heads of the squared shortfall, as a share of the distance."""
        return (1 - torch.pdist(net.module_.heads) / self.distance).clamp(min=0).square().mean()


@dataclass(frozen=True)
class Agreement:
    """How far the class probabilities of rows are from those of their neighbours.

    The cross-entropy of a row and one of its nearest rows, each way: neighbours are mostly of one
    class, so that borders between classes move to where few rows are neighbours (as in Van
    Gansbeke et al., 2020, where they are neighbours in learned features).

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.

    References
    ----------
    Van Gansbeke, Vandenhende, Georgoulis, Proesmans and Van Gool (2020), "SCAN: learning to
    classify images without labels", https://arxiv.org/abs/2005.12320
    """

    weight: float
    name: str = "agreement"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean cross-entropy in nats over the batch, 0 if the data are a single row."""
        if "neighbor" not in batch.targets:
            return batch.x.new_zeros(())
        k = net.module_.n_components
        q = batch.codes[:, k:]
        q_neighbor = net.module_.encode(batch.targets["neighbor"])[:, k:]
        both = cross_entropy(q.detach(), q_neighbor) + cross_entropy(q_neighbor.detach(), q)
        return weighted_mean(both, batch.targets.get("sample_weight"))


@dataclass(frozen=True)
class Certainty:
    """How uncertain the classes of rows are.

    Less of it and more `Balance` is more mutual information of rows and classes (Krause et al.,
    2010). A critic alone tells soft from one-hot probabilities too easily to say where to go.

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.

    References
    ----------
    Krause, Perona and Gomes (2010), "Discriminative clustering by regularized information
    maximization", https://papers.nips.cc/paper/4154
    """

    weight: float
    name: str = "certainty"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Mean entropy in nats over the rows without noise, from 0 to log n_classes."""
        q = batch.codes[batch.n_corrupted :, net.module_.n_components :]
        weight = batch.targets.get("sample_weight")
        return weighted_mean(
            cross_entropy(q, q), None if weight is None else weight[batch.n_corrupted :]
        )


@dataclass(frozen=True)
class Balance:
    """How far the shares of the classes in a batch are from those that they should have.

    A critic sees rows one by one, and finds out slowly that a class has too few of them.

    Parameters
    ----------
    weight : float
        Factor in the autoencoder's objective.
    shares : ndarray of shape (n_classes,), default=None
        Shares that they should have; None for equal ones.
    """

    weight: float
    shares: np.ndarray | None = None
    name: str = "balance"

    def __call__(self, net: Any, batch: Batch) -> Tensor:
        """Divergence KL(shares || wanted shares) in nats, of the rows without noise."""
        q = batch.codes[batch.n_corrupted :, net.module_.n_components :]
        weight = batch.targets.get("sample_weight")
        if weight is not None:
            weight = weight[batch.n_corrupted :, None]
            # In this order, or the gradient is infinite times zero where all rows weigh nothing.
            q = q * (weight / weight.mean().clamp(min=torch.finfo(q.dtype).tiny))
        shares = q.mean(dim=0)
        tiny = torch.finfo(q.dtype).tiny
        log_shares = shares.clamp(min=tiny).log()
        if self.shares is None:
            return (shares * (log_shares + math.log(len(shares)))).sum()
        wanted = torch.as_tensor(self.shares, dtype=q.dtype, device=q.device).clamp(min=tiny).log()
        return (shares * (log_shares - wanted)).sum()
