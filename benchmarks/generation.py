"""Samples of digits: AdversarialAutoencoder against mixtures, kernels, PCA and pythae's networks.

Every generator is fitted to the same training images, draws 10,000 images, clipped to [0, 1], and
is compared with test images. Features are the last hidden layer (64 units) of a convolutional
classifier that is trained here on the training images; nothing is downloaded.

- Fréchet distance of features (lower is better), inception score of the classifier's answers;
- precision, recall, density and coverage of features, of as many samples as test images;
- Parzen log-likelihood, Makhzani et al. (2015), table 1: 10,000 samples, the bandwidth chosen on
  images that no generator saw. Blur raises it above the value of real images: never choose by it;
- copying: share of samples whose nearest real image, by features, among as many training as test
  images, is a training image. 0.5 for a generator that knows the distribution and not the images, 1
  for copies.

Two rows are no generators: training images in place of samples, and reconstructions of test images
by our networks, the best that any draw of codes could do.

mnist: the first 20,000 training images train, 10,000 test images test, 1,000 of the last training
images choose Parzen bandwidths. digits of scikit-learn: 1,000 train, 600 test, 197 choose.

pythae's rows need `pip install --no-deps pythae==0.1.2` and `pip install imageio tqdm pydantic
cloudpickle`; without it they are left out, and the table says so.

Results are appended run by run to results/generation.jsonl, so that an interrupted benchmark goes
on where it stopped; tables are written to results/generation.md, pictures of samples to
results/generation_mnist.png and results/generation_digits.png.
"""

import argparse
import json
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, ShuffleSplit
from sklearn.neighbors import KernelDensity, NearestNeighbors
from torch import nn

from sklearn_aae import AdversarialAutoencoder
from sklearn_aae.metrics import (
    density_coverage,
    frechet_distance,
    inception_score,
    parzen_log_likelihood,
    precision_recall,
)

RESULTS = Path(__file__).parent / "results"
N_GENERATED = 10_000
SIDE = {"mnist": 28, "digits": 8}

# Pixels are nearly binary, so probabilities fit; samples are to be as sharp as the images are, so
# that the input is not corrupted. The code is as wide as the one of pythae's rows.
N_COMPONENTS = {"mnist": 16, "digits": 8}
OURS = {
    "mnist": {"hidden_layer_sizes": (512, 256), "likelihood": "bernoulli", "noise": 0.0},
    "digits": {"hidden_layer_sizes": (256, 128), "likelihood": "bernoulli", "noise": 0.0},
}
# As many epochs of as large batches as ours.
PYTHAE = {
    "mnist": {"num_epochs": 36, "per_device_train_batch_size": 256},
    "digits": {"num_epochs": 100, "per_device_train_batch_size": 112},
}
N_PRINCIPAL = {"mnist": 50, "digits": 20}
METRICS = (
    "frechet",
    "inception",
    "precision",
    "recall",
    "density",
    "coverage",
    "parzen",
    "parzen_error",
    "copying",
)


def load(name, path):
    """Training, test and validation images in [0, 1] with labels, in this order."""
    if name == "digits":
        X, y = load_digits(return_X_y=True)
        order = np.random.default_rng(0).permutation(len(X))
        X, y = X[order] / 16.0, y[order]
        return X[:1000], y[:1000], X[1000:1600], y[1000:1600], X[1600:]
    with np.load(path) as file:
        X, y = file["X_train"] / 255.0, file["y_train"]
        X_test, y_test = file["X_test"] / 255.0, file["y_test"]
    return X[:20_000], y[:20_000], X_test, y_test, X[50_000:51_000]


# Features.


class Classifier:
    """Convolutional classifier: features, probabilities and accuracy of images."""

    def __init__(self, side, seed=0):
        torch.manual_seed(seed)
        self.network = nn.Sequential(
            nn.Unflatten(1, (1, side, side)),
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(32 * (side // 4) ** 2, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def fit(self, X, y, n_steps=1000, batch_size=128):
        x, target = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.int64)
        optimizer = torch.optim.Adam(self.network.parameters(), lr=1e-3)
        for _ in range(n_steps):
            rows = torch.randint(len(x), (batch_size,))
            optimizer.zero_grad()
            F.cross_entropy(self.network(x[rows]), target[rows]).backward()
            optimizer.step()
        return self

    @torch.inference_mode()
    def __call__(self, X):
        """Features (n, 64) and probabilities (n, 10)."""
        chunks = torch.tensor(X, dtype=torch.float32).split(2000)
        features = torch.cat([self.network[:-1](x) for x in chunks])
        return features.double().numpy(), self.network[-1](features).double().softmax(1).numpy()


# Generators: functions of training images, test images, data name and seed that return, for each
# row of the table, a function from a number of images to images.


def fit_ours(X, X_test, data, seed):
    model = AdversarialAutoencoder(N_COMPONENTS[data], **OURS[data], random_state=seed)
    model.fit(X.astype(np.float32))

    def sample(sampler):
        return lambda n: model.set_params(sampler=sampler).sample(n, random_state=seed)

    return {
        "AdversarialAutoencoder, density": sample("density"),
        "AdversarialAutoencoder, prior": sample("prior"),
        "(reconstructions of test images)": lambda n: model.reconstruct(X_test.astype(np.float32)),
    }


def fit_training(X, X_test, data, seed):
    return {"(training images)": lambda n: X[:n]}


def fit_pca(X, X_test, data, seed):
    """Linear models: principal components with a normal, a mixture or kernels on them."""
    pca = PCA(N_PRINCIPAL[data], random_state=seed).fit(X)
    Z = pca.transform(X)
    rng = np.random.RandomState(seed)
    split = ShuffleSplit(1, test_size=0.1, random_state=seed)
    mixture = GridSearchCV(
        GaussianMixture(max_iter=30, reg_covar=1e-4, random_state=seed),
        {"n_components": [5, 10, 20, 40]},
        cv=split,
    ).fit(Z)
    kernels = GridSearchCV(
        KernelDensity(rtol=1e-3), {"bandwidth": np.geomspace(0.1, 1, 10)}, cv=split
    )
    # Bandwidths are compared on 5,000 rows at most: a tree in 50 dimensions is slow.
    kernels.fit(Z[rng.permutation(len(Z))[:5000]])
    density = kernels.best_estimator_.fit(Z)
    name = f"PCA-{N_PRINCIPAL[data]}"
    deviation = Z.std(axis=0)
    return {
        f"{name} + normal": lambda n: pca.inverse_transform(
            deviation * rng.standard_normal((n, len(deviation)))
        ),
        f"{name} + GaussianMixture": lambda n: pca.inverse_transform(
            mixture.best_estimator_.sample(n)[0]
        ),
        f"{name} + KernelDensity": lambda n: pca.inverse_transform(density.sample(n, rng)),
    }


def fit_pythae(cls, X, data, seed):
    """A network of pythae with its default layers; the prior and a mixture on codes for draws."""
    from pythae import models, samplers, trainers
    from pythae.data.datasets import BaseDataset

    torch.manual_seed(seed)
    shape = {"input_dim": (1, SIDE[data], SIDE[data]), "latent_dim": N_COMPONENTS[data]}
    options = dict(PYTHAE[data], seed=seed, no_cuda=True)
    x = torch.tensor(X, dtype=torch.float32).reshape(-1, *shape["input_dim"])
    with tempfile.TemporaryDirectory() as folder:
        if cls == "VAE":
            model = models.VAE(models.VAEConfig(**shape, reconstruction_loss="bce"))
            trainer, config = (
                trainers.BaseTrainer,
                trainers.BaseTrainerConfig(folder, learning_rate=1e-3, **options),
            )
        else:
            # The weights of pythae's own reproduction of the WAE paper.
            config = models.Adversarial_AE_Config(
                **shape,
                reconstruction_loss="bce",
                reconstruction_loss_scale=0.05,
                adversarial_loss_scale=0.5,
                deterministic_posterior=True,
            )
            model = models.Adversarial_AE(config)
            trainer, config = (
                trainers.AdversarialTrainer,
                trainers.AdversarialTrainerConfig(
                    folder,
                    autoencoder_learning_rate=1e-3,
                    discriminator_learning_rate=1e-3,
                    **options,
                ),
            )
        trainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=config).train()
    model.eval()
    mixture = samplers.GaussianMixtureSampler(
        model, samplers.GaussianMixtureSamplerConfig(n_components=10)
    )
    mixture.fit(x)

    def draw(sampler):
        return lambda n: sampler.sample(num_samples=n).detach().cpu().numpy().reshape(n, -1)

    return {
        f"pythae {cls}": draw(samplers.NormalSampler(model)),
        f"pythae {cls}, mixture on codes": draw(mixture),
    }


def fit_pythae_vae(X, X_test, data, seed):
    return fit_pythae("VAE", X, data, seed)


def fit_pythae_aae(X, X_test, data, seed):
    return fit_pythae("Adversarial_AE", X, data, seed)


GENERATORS = {
    "training images": fit_training,
    "ours": fit_ours,
    "PCA": fit_pca,
    "pythae VAE": fit_pythae_vae,
    "pythae AAE": fit_pythae_aae,
}


# Scores.


def copying(features, training, test):
    """Share of samples that are nearer to a training than to a test image, of as many."""
    n = min(len(training), len(test))
    nearest = [
        NearestNeighbors(n_neighbors=1).fit(real[:n]).kneighbors(features)[0][:, 0]
        for real in (training, test)
    ]
    return float(np.mean(nearest[0] < nearest[1]))


def evaluate(X, classifier, real, parzen_test, parzen_validation):
    features, probabilities = classifier(X)
    test, training = real
    equal = features[: len(test)]
    with warnings.catch_warnings():
        # The grid of bandwidths is the protocol's; smooth digits may prefer its border.
        warnings.filterwarnings("ignore", message="bandwidths must surround")
        parzen = parzen_log_likelihood(X, parzen_test, X_validation=parzen_validation)
    precision, recall = precision_recall(test, equal)
    density, coverage = density_coverage(test, equal)
    return {
        "frechet": frechet_distance(test, features),
        "inception": inception_score(probabilities),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "parzen": parzen.log_likelihood,
        "parzen_error": parzen.standard_error,
        "copying": copying(equal, training, test),
    }


def run(name, arrays, classifier, data, seed):
    """One dict of scores for each row that a generator gives."""
    X, X_test, X_validation = arrays
    real = classifier(X_test)[0], classifier(X)[0]
    start = time.perf_counter()
    draws = GENERATORS[name](X, X_test, data, seed)
    seconds = time.perf_counter() - start
    for row, draw in draws.items():
        generated = np.clip(draw(N_GENERATED), 0, 1).astype(np.float64)
        scores = evaluate(generated, classifier, real, X_test, X_validation)
        yield generated, {"row": row, "seconds": seconds, **scores}


# Output.


def tables(rows):
    """Markdown: one table for each data set, means over seeds."""
    for data in dict.fromkeys(r["data"] for r in rows):
        mine = [r for r in rows if r["data"] == data]
        seeds = sorted({r["seed"] for r in mine})
        yield (
            f"## {data}, seeds {seeds}; the classifier is right on "
            f"{mine[0]['accuracy']:.1%} of test images\n"
        )
        yield (
            "| samples of | Fréchet ↓ | inception ↑ | precision ↑ | recall ↑ | density ↑ "
            "| coverage ↑ | Parzen, nats | copying | seconds |"
        )
        yield "|---|---|---|---|---|---|---|---|---|---|"
        names = {r["row"] for r in mine}
        mean = {
            name: {
                key: np.mean([r[key] for r in mine if r["row"] == name])
                for key in (*METRICS, "seconds")
            }
            for name in names
        }
        # What is no generator comes first.
        for name in sorted(names, key=lambda n: (not n.startswith("("), mean[n]["frechet"])):
            m = mean[name]
            yield (
                f"| {name} | {m['frechet']:.1f} | {m['inception']:.2f} | {m['precision']:.3f} | "
                f"{m['recall']:.3f} | {m['density']:.3f} | {m['coverage']:.3f} | "
                f"{m['parzen']:.1f} ± {m['parzen_error']:.1f} | {m['copying']:.2f} | "
                f"{m['seconds']:.0f} |"
            )
        if not any(n.startswith("pythae") for n in names):
            yield "\npythae was not installed: its rows are missing."
        yield ""


def picture(samples, side, path):
    """Grid of 6 x 16 samples."""
    import matplotlib.pyplot as plt

    grid = samples[:96].reshape(6, 16, side, side).transpose(0, 2, 1, 3).reshape(6 * side, -1)
    plt.imsave(path, np.kron(grid, np.ones((56 // side, 56 // side))), cmap="gray_r")


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--sets", nargs="+", default=["mnist", "digits"], choices=list(SIDE))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS), choices=GENERATORS)
    parser.add_argument("--out", type=Path, default=RESULTS / "generation.jsonl")
    arguments = parser.parse_args()

    out = arguments.out
    out.parent.mkdir(parents=True, exist_ok=True)
    rows = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    done = {(r["data"], r["seed"], r["generator"]) for r in rows}
    generators = [
        name
        for name in arguments.generators
        if not name.startswith("pythae") or find_spec("pythae")
    ]
    for data in arguments.sets:
        plan = [
            (seed, name)
            for seed in arguments.seeds
            for name in generators
            if (data, seed, name) not in done
        ]
        if not plan:
            continue
        X, y, X_test, y_test, X_validation = load(data, arguments.data)
        classifier = Classifier(SIDE[data]).fit(X, y)
        accuracy = float(np.mean(classifier(X_test)[1].argmax(axis=1) == y_test))
        for i, (seed, name) in enumerate(plan, start=1):
            key = {"data": data, "seed": seed, "generator": name, "accuracy": accuracy}
            found = []
            for generated, scores in run(name, (X, X_test, X_validation), classifier, data, seed):
                found.append(key | scores)
                print(f"{data} {i}/{len(plan)} {json.dumps(found[-1])}", flush=True)
                if "density" in scores["row"]:
                    picture(generated, SIDE[data], out.with_name(f"{out.stem}_{data}.png"))
            rows += found
            with out.open("a") as file:
                file.writelines(json.dumps(row) + "\n" for row in found)
    text = "\n".join(tables(rows)) + "\n"
    out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
