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

mnist: the first 50,000 training images train, 10,000 test images test, the next 1,000 training
images choose Parzen bandwidths. digits of scikit-learn: 1,000 train, 600 test, 197 choose.

pythae's rows need `pip install --no-deps pythae==0.1.2` and `pip install imageio tqdm pydantic
cloudpickle`; without it they are left out, and the table says so.

Results are appended run by run to results/generation.jsonl, so that an interrupted benchmark goes
on where it stopped; tables are written to results/generation.md, pictures of samples to
results/generation_mnist.png and results/generation_digits.png.
"""

import argparse
import io
import logging
import tempfile
import time
import warnings
from contextlib import redirect_stderr, redirect_stdout
from functools import cached_property, lru_cache, partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from resumable import Results
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
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
N_COMPONENTS = {"mnist": 10, "digits": 8}
N_PRINCIPAL = {"mnist": 50, "digits": 20}
EPOCHS = {"mnist": 40, "digits": 200}
BATCH_SIZE = {"mnist": 256, "digits": 100}

# Pixels are nearly binary, so probabilities fit; samples are to be as sharp as the images are, so
# that the input is not corrupted. Width of code, epochs and batches are those of pythae's rows.
OURS = {"likelihood": "bernoulli", "noise": 0.0}
LAYERS = {"mnist": (512, 256), "digits": (256, 128)}


class Images:
    """Training, test and validation images in [0, 1], and features of them."""

    def __init__(self, data, path):
        self.data = data
        self.side = SIDE[data]
        if data == "digits":
            X, y = load_digits(return_X_y=True)
            order = np.random.default_rng(0).permutation(len(X))
            X, y = X[order] / 16.0, y[order]
            self.train, self.test, self.validation = X[:1000], X[1000:1600], X[1600:]
            self.y, self.y_test = y[:1000], y[1000:1600]
        else:
            with np.load(path) as file:
                X, y = file["X_train"] / 255.0, file["y_train"]
                self.test, self.y_test = file["X_test"] / 255.0, file["y_test"]
            self.train, self.y, self.validation = X[:50_000], y[:50_000], X[50_000:51_000]

    @cached_property
    def classifier(self):
        return Classifier(self.side).fit(self.train, self.y)

    @cached_property
    def accuracy(self):
        return float(np.mean(self.classifier(self.test)[1].argmax(axis=1) == self.y_test))

    @cached_property
    def features(self):
        """Of training and test images."""
        return self.classifier(self.train)[0], self.classifier(self.test)[0]


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


# Generators: functions of images and a seed that return, for each row of the table, a function
# from a number of images to images.


def fit_training(images, seed):
    return {"(training images)": lambda n: images.train[:n]}


def fit_ours(images, seed):
    model = AdversarialAutoencoder(
        N_COMPONENTS[images.data],
        hidden_layer_sizes=LAYERS[images.data],
        batch_size=BATCH_SIZE[images.data],
        max_iter=EPOCHS[images.data],
        random_state=seed,
        **OURS,
    ).fit(images.train.astype(np.float32))

    def sample(sampler):
        return lambda n: model.set_params(sampler=sampler).sample(n, random_state=seed)

    return {
        "AdversarialAutoencoder": sample("density"),
        'AdversarialAutoencoder, sampler="prior"': sample("prior"),
        "(our reconstructions of test images)": lambda n: model.reconstruct(images.test),
    }


def fit_pca(images, seed):
    """Principal components with a normal, a mixture or kernels on them."""
    n_components = N_PRINCIPAL[images.data]
    X = images.train.astype(np.float32)
    pca = PCA(n_components, random_state=seed).fit(X)
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
    kernels.best_estimator_.fit(Z)

    def decoded(draw):
        return lambda n: pca.inverse_transform(draw(n))

    deviation = Z.std(axis=0)
    return {
        "PCA + normal": decoded(lambda n: deviation * rng.standard_normal((n, n_components))),
        "PCA + GaussianMixture": decoded(lambda n: mixture.best_estimator_.sample(n)[0]),
        "PCA + KernelDensity": decoded(lambda n: kernels.best_estimator_.sample(n, rng)),
    }


def fit_pythae(name, images, seed):
    """A network of pythae with its default layers; the prior and a mixture on codes for draws."""
    from pythae import models, samplers, trainers
    from pythae.data.datasets import BaseDataset

    logging.getLogger("pythae").setLevel(logging.WARNING)
    torch.manual_seed(seed)
    shape = {
        "input_dim": (1, images.side, images.side),
        "latent_dim": N_COMPONENTS[images.data],
        "reconstruction_loss": "bce",
    }
    options = {
        "num_epochs": EPOCHS[images.data],
        "per_device_train_batch_size": BATCH_SIZE[images.data],
        "seed": seed,
        "no_cuda": True,
    }
    x = torch.tensor(images.train, dtype=torch.float32).reshape(-1, *shape["input_dim"])
    with tempfile.TemporaryDirectory() as folder:
        if name == "VAE":
            model = models.VAE(models.VAEConfig(**shape))
            trainer = trainers.BaseTrainer
            config = trainers.BaseTrainerConfig(folder, learning_rate=1e-3, **options)
        else:
            # The weights of pythae's own reproduction of the WAE paper.
            weights = models.Adversarial_AE_Config(
                **shape,
                reconstruction_loss_scale=0.05,
                adversarial_loss_scale=0.5,
                deterministic_posterior=True,
            )
            model = models.Adversarial_AE(weights)
            trainer = trainers.AdversarialTrainer
            config = trainers.AdversarialTrainerConfig(
                folder,
                autoencoder_learning_rate=1e-3,
                discriminator_learning_rate=1e-3,
                **options,
            )
        with redirect_stdout(None), redirect_stderr(io.StringIO()):  # pages of epochs
            trainer(model, BaseDataset(x, torch.zeros(len(x))), training_config=config).train()
    model.eval()
    mixture = samplers.GaussianMixtureSampler(
        model, samplers.GaussianMixtureSamplerConfig(n_components=10)
    )
    mixture.fit(x)

    def draw(sampler):
        return lambda n: sampler.sample(num_samples=n).detach().cpu().numpy().reshape(n, -1)

    return {
        f"pythae {name}": draw(samplers.NormalSampler(model)),
        f"pythae {name}, mixture on codes": draw(mixture),
    }


GENERATORS = {
    "training images": fit_training,
    "ours": fit_ours,
    "PCA": fit_pca,
    "pythae VAE": partial(fit_pythae, "VAE"),
    "pythae AAE": partial(fit_pythae, "AAE"),
}
ROWS = {
    "(training images)": "training images",
    "(our reconstructions of test images)": "ours",
    "AdversarialAutoencoder": "ours",
    'AdversarialAutoencoder, sampler="prior"': "ours",
    "PCA + normal": "PCA",
    "PCA + GaussianMixture": "PCA",
    "PCA + KernelDensity": "PCA",
    "pythae VAE": "pythae VAE",
    "pythae VAE, mixture on codes": "pythae VAE",
    "pythae AAE": "pythae AAE",
    "pythae AAE, mixture on codes": "pythae AAE",
}


@lru_cache(maxsize=1)  # rows of one generator follow each other
def fitted(generator, images, seed):
    """Draws by row, and the seconds that the fit took."""
    start = time.perf_counter()
    draws = GENERATORS[generator](images, seed)
    return draws, time.perf_counter() - start


# Scores.


def copying(features, training, test):
    """Share of samples that are nearer to a training than to a test image, of as many."""
    n = min(len(training), len(test))
    to_training, to_test = (
        NearestNeighbors(n_neighbors=1).fit(real[:n]).kneighbors(features)[0][:, 0]
        for real in (training, test)
    )
    return float(np.mean(to_training < to_test))


def run(row, images, seed, folder):
    draws, seconds = fitted(ROWS[row], images, seed)
    generated = np.clip(draws[row](N_GENERATED), 0, 1).astype(np.float64)
    if row == "AdversarialAutoencoder":
        picture(generated, images.side, folder / f"generation_{images.data}.png")
    features, probabilities = images.classifier(generated)
    training, test = images.features
    equal = features[: len(test)]
    parzen = parzen_log_likelihood(generated, images.test, X_validation=images.validation)
    precision, recall = precision_recall(test, equal)
    density, coverage = density_coverage(test, equal)
    return {
        "accuracy": images.accuracy,
        "frechet": frechet_distance(test, features),
        "inception": inception_score(probabilities),
        "precision": precision,
        "recall": recall,
        "density": density,
        "coverage": coverage,
        "parzen": parzen.log_likelihood,
        "parzen_error": parzen.standard_error,
        "bandwidth": parzen.bandwidth,
        "copying": copying(equal, training, test),
        "seconds": seconds,
    }


# Output.


def picture(samples, side, path):
    """Grid of 6 x 16 samples, each about 56 pixels wide, apart by a white line."""
    import matplotlib.pyplot as plt

    large = np.kron(samples[:96].reshape(96, side, side), np.ones((1, 56 // side, 56 // side)))
    grid = np.pad(large, ((0, 0), (3, 3), (3, 3))).reshape(6, 16, 62, 62)
    plt.imsave(path, grid.transpose(0, 2, 1, 3).reshape(6 * 62, -1), cmap="gray_r")


def tables(rows):
    """One table for each data set, means over seeds."""
    for data in dict.fromkeys(r["data"] for r in rows):
        mine = [r for r in rows if r["data"] == data]
        yield (
            f"## {data}, seeds {sorted({r['seed'] for r in mine})}; the classifier is right on "
            f"{mine[0]['accuracy']:.1%} of test images\n"
        )
        yield (
            "| samples of | Fréchet ↓ | inception ↑ | precision ↑ | recall ↑ | density ↑ "
            "| coverage ↑ | Parzen, nats | copying | seconds |"
        )
        yield "|---|---|---|---|---|---|---|---|---|---|"
        mean = {}
        for name in {r["row"] for r in mine}:
            same = [r for r in mine if r["row"] == name]
            mean[name] = {
                key: np.mean([r[key] for r in same])
                for key, value in same[0].items()
                if isinstance(value, float)
            }
        # What is no generator comes first.
        for name in sorted(mean, key=lambda n: (not n.startswith("("), mean[n]["frechet"])):
            m = mean[name]
            yield (
                f"| {name} | {m['frechet']:.1f} | {m['inception']:.2f} | {m['precision']:.3f} | "
                f"{m['recall']:.3f} | {m['density']:.3f} | {m['coverage']:.3f} | "
                f"{m['parzen']:.1f} ± {m['parzen_error']:.1f} | {m['copying']:.2f} | "
                f"{m['seconds']:.0f} |"
            )
        if not any(name.startswith("pythae") for name in mean):
            yield "\nRows of pythae are missing: it was not installed, or not asked for."
        yield ""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=Path("../shared/data/mnist.npz"))
    parser.add_argument("--sets", nargs="+", default=list(SIDE), choices=list(SIDE))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--generators", nargs="+", default=list(GENERATORS), choices=GENERATORS)
    parser.add_argument("--out", type=Path, default=RESULTS / "generation.jsonl")
    arguments = parser.parse_args()

    left_out = () if find_spec("pythae") else ("pythae VAE", "pythae AAE")
    plan = []
    for data in arguments.sets:
        images = Images(data, arguments.data)
        for seed in arguments.seeds:
            for row, generator in ROWS.items():
                if generator in arguments.generators and generator not in left_out:
                    key = {"data": data, "seed": seed, "row": row}
                    plan.append((key, partial(run, row, images, seed, arguments.out.parent)))
    results = Results(arguments.out)
    with warnings.catch_warnings():
        # Thirty iterations are enough for a mixture of principal components.
        warnings.simplefilter("ignore", ConvergenceWarning)
        results.complete(plan)
    results.write_table(tables(results.rows))


if __name__ == "__main__":
    main()
