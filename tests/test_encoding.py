"""Values come back as they were, from a closed set of types."""

from functools import partial

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from torch import nn

from sklearn_aae import priors
from sklearn_aae._files.archive import InvalidModelFileError
from sklearn_aae._learned.density import Density
from sklearn_aae._rows.likelihoods import make_likelihood
from sklearn_aae._training.critics import Critic
from sklearn_aae.modules import (
    Autoencoder,
    CategoricalAutoencoder,
    ConditionalAutoencoder,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    EmbeddingAutoencoder,
    MultilayerPerceptron,
)
from sklearn_aae.persistence.decoding import Decoder
from sklearn_aae.persistence.encoding import Encoder
from sklearn_aae.persistence.networks import is_stored
from sklearn_aae.persistence.vocabulary import CustomNetwork
from sklearn_aae.priors import Categorical, Empirical, Joint, Normal, Prior


def no_network(spec):
    raise AssertionError(spec)


def there_and_back(value, custom=None, build=no_network):
    encoder = Encoder(custom or {})
    coded = encoder.encode(value, "value")
    decoder = Decoder(encoder.arrays, build)
    decoded = decoder.decode(coded, "value")
    decoder.check_all_used()
    return decoded


def assert_equal(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray | torch.Tensor):
        assert a.dtype == b.dtype
        assert_array_equal(a, b)
    elif isinstance(a, dict):
        assert_equal([*a], [*b])
        assert_equal([*a.values()], [*b.values()])
    elif isinstance(a, list | tuple):
        assert len(a) == len(b)
        for x, y in zip(a, b, strict=True):
            assert_equal(x, y)
    elif isinstance(a, np.random.RandomState):
        assert_equal(a.get_state(legacy=False), b.get_state(legacy=False))
    elif isinstance(a, partial):
        assert_equal([a.func, a.keywords], [b.func, b.keywords])
    elif hasattr(a, "__dict__") and not isinstance(a, type):
        assert_equal(vars(a), vars(b))
    else:
        assert a == b or (a != a and b != b)


def drawn_state():
    random_state = np.random.RandomState(3)
    random_state.normal(size=5)
    return random_state


VALUES = [
    *(None, True, 0, -(2**63), 10**38, 0.1, -0.0, float("inf"), float("nan"), "", "\ud800é\0"),
    *((), (1, (2.0,)), [], [[None]], {}, {"a": {1: (), None: [], 2.5: 3, False: 2}}),
    *(
        np.float32(0.1),
        np.float64("nan"),
        np.int64(-3),
        np.uint8(255),
        np.bool_(True),
        np.str_("x"),
    ),
    *(np.dtype("float32"), torch.device("cuda:1"), torch.optim.Adam, MultilayerPerceptron),
    *(partial(torch.optim.SGD, momentum=0.9), drawn_state()),
    *(np.array(["setosa", "é", ""]), np.array([["a"], ["bc"]]), np.array([], dtype="U3")),
    *(np.array("x"), np.array(["x", "yz", 1, None, 2.5], dtype=object), np.arange(3)),
    *(np.array([[0.1, np.nan]], dtype="f2"), np.zeros((0, 4)), np.array(True), torch.arange(3.0)),
    *(Normal(2.0), Categorical(2, probabilities=(0.25, 0.75)), Empirical(np.eye(2), 2)),
    *(Joint(Normal(), Categorical(2), 3), *(cls() for cls in priors.PRIORS.values())),
    *(make_likelihood("poisson", *np.ones((3, 2)), knee=5.0), Critic("prior", Normal(), 0.2)),
    Critic("categories", Categorical(3), 1.0, columns=(2, 5)),
    Density(np.eye(2), 1.5, 1, 1e-6, 0.0),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_values_come_back(value):
    assert_equal(there_and_back(value), value)


def test_every_prior_is_among_the_values():
    public = [getattr(priors, name) for name in priors.__all__]
    classes = {cls for cls in public if isinstance(cls, type) and issubclass(cls, Prior)}
    assert classes - {Prior} <= {type(value) for value in VALUES}


def test_the_order_of_elements_comes_back():
    array = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert there_and_back(array).flags.f_contiguous


def test_a_random_state_goes_on():
    random_state = drawn_state()
    other = there_and_back(random_state)
    assert_array_equal(other.normal(size=9), random_state.normal(size=9))


def test_what_is_shared_is_stored_once_and_stays_shared():
    array = np.arange(1000.0)
    encoder = Encoder({})
    encoder.encode([array, array], "value")
    assert len(encoder.arrays) == 1
    first, second = there_and_back([array, array])
    assert first is second


class Secret:
    pass


@pytest.mark.parametrize(
    ("value", "match"),
    [
        (Secret(), r"value: test_encoding\.Secret cannot be saved"),
        ([1, {"a": Secret()}], r"value\[1\]\['a'\]: test_encoding\.Secret"),
        (lambda x: x, "lambda"),
        (len, "builtins.len"),
        (Secret, "test_encoding.Secret"),
        ({1, 2}, "builtins.set"),
        (1j, "builtins.complex"),
        (b"x", "builtins.bytes"),
        (np.array([1j]), "arrays of complex128"),
        (np.array(["2020-01-01"], dtype="M8[D]"), "datetime64"),
        (np.array([Secret()]), r"value\[0\]: test_encoding\.Secret"),
        (np.ma.array([1.0]), "MaskedArray"),
        (torch.zeros(2, dtype=torch.bfloat16), "bfloat16"),
        (np.random.RandomState(np.random.PCG64()), "PCG64"),
        (type("Normal", (Normal,), {})(), "Normal cannot be saved"),
        (Empirical(Secret()), r"value\.source: test_encoding\.Secret"),
        (nn.Linear(2, 2), "Linear cannot be saved"),
        (partial(torch.optim.SGD, hook=Secret()), r"value\['hook'\]"),
        (partial(print), "partial"),
    ],
)
def test_other_types_are_named(value, match):
    with pytest.raises(TypeError, match=match):
        there_and_back(value)


def test_attributes_that_would_be_lost_are_named():
    prior = Normal()
    prior.note = 1
    with pytest.raises(TypeError, match=r"Normal has attributes .* \['note'\]"):
        there_and_back(prior)


@pytest.mark.parametrize("value", [10**39, -(10**39)])
def test_long_ints_are_refused(value):
    with pytest.raises(ValueError, match="40 digits"):
        there_and_back(value)


def test_a_list_that_holds_itself_is_refused():
    value = []
    value.append(value)
    with pytest.raises(ValueError, match="contains itself"):
        there_and_back(value)


# Networks.


@pytest.mark.parametrize(
    "network",
    [
        MultilayerPerceptron(3, 2),
        MultilayerPerceptron(3, 2, (5, 4), "gelu"),
        ConvolutionalEncoder((1, 5, 7), 2, (8,), "tanh", n_noise=2),
        ConvolutionalDecoder(2, (2, 3, 4)),
    ],
)
def test_networks_of_ours_are_built_again(network):
    next(network.parameters()).requires_grad_(False)
    before = torch.get_rng_state()
    other = there_and_back(network)
    assert torch.equal(torch.get_rng_state(), before)
    assert repr(other) == repr(network)
    for (name, a), (same, b) in zip(
        network.named_parameters(), other.named_parameters(), strict=True
    ):
        assert name == same
        assert torch.equal(a, b)
        assert a.requires_grad == b.requires_grad
        assert b.data_ptr() % 64 == 0
    x = torch.randn(3, 74, generator=torch.Generator().manual_seed(0))[:, : _n_inputs(network)]
    assert torch.equal(network(x), other(x))


def _n_inputs(network):
    if isinstance(network, ConvolutionalEncoder):
        return network.n_pixels + network.n_noise
    return network.in_features


def autoencoder(cls, n_classes=0):
    n_in, n_out = cls.encoder_widths(4, 2, "gaussian", n_classes)
    decoder = MultilayerPerceptron(cls.decoder_width(2, n_classes), 4, (3,))
    one = cls(MultilayerPerceptron(n_in, n_out, (3,)), decoder, 2, "gaussian", n_classes)
    one.extend_range(-torch.ones(4), torch.arange(4.0))
    return one


@pytest.mark.parametrize(
    ("cls", "n_classes"),
    [
        (Autoencoder, 0),
        (CategoricalAutoencoder, 3),
        (ConditionalAutoencoder, 3),
        (EmbeddingAutoencoder, 3),
    ],
)
def test_autoencoders_are_built_again(cls, n_classes):
    one = autoencoder(cls, n_classes)
    one.encoder[0].bias.requires_grad_(False)
    before = torch.get_rng_state()
    other = there_and_back(one)
    assert torch.equal(torch.get_rng_state(), before)
    assert type(other) is cls
    assert (other.n_components, other.posterior, other.n_classes) == (2, "gaussian", n_classes)
    assert one.state_dict().keys() == other.state_dict().keys()
    for (name, a), b in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    trained = [[n for n, p in m.named_parameters() if p.requires_grad] for m in (one, other)]
    assert trained[0] == trained[1]
    y = torch.arange(3)
    assert torch.equal(
        one.decode(one.encode(torch.ones(3, 4)), y), other.decode(one.encode(torch.ones(3, 4)), y)
    )


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"n_classes": 10**12}, "no n_classes"),
        ({"n_classes": True}, "no n_classes"),
        ({"n_classes": 2}, r"'heads' is \(\(3, 2\)"),
        ({"n_components": 1}, r"'heads' is \(\(3, 2\)"),
        ({"posterior": "x"}, "no posterior"),
        ({"encoder": None}, "no networks"),
    ],
)
def test_autoencoders_that_do_not_fit_their_arguments_are_refused(change, match):
    encoder = Encoder({})
    coded = encoder.encode(autoencoder(EmbeddingAutoencoder, 3), "value")
    coded["arguments"].update(change)
    with pytest.raises(InvalidModelFileError, match=match):
        Decoder(encoder.arrays, no_network).decode(coded, "value")


def test_a_network_that_is_not_as_its_arguments_say_is_the_users():
    network = MultilayerPerceptron(3, 2, (4,))
    assert is_stored(network)
    network[1] = nn.Tanh()
    assert not is_stored(network)
    network = MultilayerPerceptron(3, 2, (4,))
    network[0] = nn.utils.parametrizations.weight_norm(network[0])
    assert not is_stored(network)


def test_weights_of_a_users_network_come_back_in_a_new_one():
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    network(torch.randn(5, 3))
    spec = CustomNetwork("encoder", 3, 2)

    def build(asked):
        assert asked == spec
        return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))

    other = there_and_back(network, {id(network): spec}, build)
    for (name, a), b in zip(network.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(a, b), name


def test_weights_that_are_not_finite_are_refused():
    network = MultilayerPerceptron(3, 2)
    with torch.no_grad():
        network[0].bias[1] = float("nan")
    with pytest.raises(ValueError, match=r"value: '0\.bias' holds NaN"):
        there_and_back(network)


# What JSON may claim.

ODD = {
    "unknown type": {"type": "pickle", "value": ""},
    "type is no string": {"type": ["tuple"], "items": []},
    "no type": {},
    "unknown class": {"type": "class", "name": "os.system"},
    "class by path": {"type": "class", "name": "torch.optim.../../os"},
    "unknown object": {"type": "object", "class": "Popen", "fields": {"args": "true"}},
    "missing field": {"type": "object", "class": "Normal", "fields": {"scale": 1.0}},
    "unknown field": {"type": "object", "class": "Density", "fields": {"x": 1}},
    "partial of a function": {"type": "partial", "name": "print", "arguments": {}},
    "array of nothing": {"type": "array", "name": "9", "by_columns": False},
    "odd name": {"type": "array", "name": ["0"], "by_columns": False},
    "strings of floats": {"type": "strings", "name": "0"},
    "no characters": {"type": "strings", "name": "1"},
    "wide dtype": {"type": "dtype", "name": "U1000000000"},
    "float of text": {"type": "float", "value": "1_0"},
    "bool as int8": {"type": "scalar", "dtype": "int8", "value": True},
    "objects of nothing": {"type": "objects", "shape": [10**9], "items": []},
    "negative shape": {"type": "objects", "shape": [-1, -1], "items": [1]},
    "repeated key": {"type": "dict", "items": [["a", 1], ["a", 2]]},
    "key is a list": {"type": "dict", "items": [[[], 1]]},
    "tensor of an object": {"type": "tensor", "value": {"type": "objects"}},
    "extra key": {"type": "tuple", "items": [], "x": 1},
    "random state": {
        "type": "RandomState",
        "key": {"type": "array", "name": "2", "by_columns": False},
        "position": 10**6,
        "has_gauss": False,
        "gauss": 0.0,
    },
    "network of arguments": {
        "type": "network",
        "class": "MultilayerPerceptron",
        "arguments": {
            "in_features": 2**30,
            "out_features": 2**30,
            "hidden_layer_sizes": {"type": "tuple", "items": []},
            "activation": "relu",
        },
        "weights": {"0.weight": {"type": "array", "name": "0", "by_columns": False}},
        "frozen": [],
    },
    "network of nothing": {"type": "network", "class": "Linear", "arguments": {}, "weights": {}},
}


@pytest.mark.parametrize("coded", ODD.values(), ids=ODD)
def test_json_that_says_no_value_is_refused(coded):
    arrays = {
        "0": np.ones(3, dtype=np.float32),
        "1": np.full((1, 1), 0x110000, dtype=np.uint32),
        "2": np.zeros(624, dtype=np.uint32),
    }
    with pytest.raises(InvalidModelFileError, match=r"^value"):
        Decoder(arrays, no_network).decode(coded, "value")


def test_arrays_that_nobody_refers_to_are_refused():
    with pytest.raises(InvalidModelFileError, match="belong to nothing"):
        Decoder({"0": np.ones(1)}, no_network).check_all_used()


def test_an_array_cannot_be_multiplied_into_tensors():
    one = {"type": "tensor", "value": {"type": "array", "name": "0", "by_columns": False}}
    with pytest.raises(InvalidModelFileError, match=r"value\[1\] is no tensor"):
        Decoder({"0": np.ones(3)}, no_network).decode([one, one], "value")


def test_deep_values_are_refused():
    coded = 1
    for _ in range(40):
        coded = [coded]
    with pytest.raises(InvalidModelFileError, match="nested too deep"):
        Decoder({}, no_network).decode(coded, "value")
