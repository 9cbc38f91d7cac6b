"""A predictor: rows of a table in, labels or numbers out, in this process and from its file."""

import json

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.data import Preprocessor, Table
from tinygrad_nn.nn import Dense, Predictor, Sequential
from tinygrad_nn.predicting import predictions

TABLE = Table({
    "size": [1.0, 2.0, None, 9.0, 1.5, 8.5],
    "kind": ["a", "b", "a", "b", None, "a"],
    "sold": ["no", "no", "yes", "yes", "no", "yes"],
    "price": [10.0, 20.0, 80.0, 90.0, 15.0, 85.0],
})  # fmt: skip
INPUT = ["size", "kind"]


def network(preprocessor, outputs=None, last=None):
    hidden = Dense(preprocessor.n_features, 4, "tanh", rng=0)
    return Sequential(hidden, Dense(4, outputs or preprocessor.n_outputs, last, rng=1))


def classifier(outputs=None, last=None, **settings):
    preprocessor = Preprocessor(target="sold", columns=INPUT, **settings).fit(TABLE)
    return Predictor(network(preprocessor, outputs, last), preprocessor)


def regressor(target="price"):
    preprocessor = Preprocessor(target=target, columns=INPUT).fit(TABLE)
    return Predictor(network(preprocessor), preprocessor)


@pytest.mark.parametrize("outputs", [2, 1])
@pytest.mark.parametrize("last", [None, "softmax", "sigmoid"])
def test_classes_and_probabilities(outputs, last):
    if outputs == 1 and last == "softmax":
        last = "sigmoid"
    model = classifier(outputs, last)
    proba, labels = model.predict_proba(TABLE), model.predict(TABLE)
    assert proba.shape == (6, 2)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert labels.tolist() == model.classes_[proba.argmax(axis=1)].tolist()
    Z = model.network(model.preprocessor.transform(TABLE)).numpy()
    assert labels.tolist() == [
        ["no", "yes"][int(z.argmax() if outputs == 2 else z[0] > (0.5 if last else 0))] for z in Z.T
    ]


def test_a_trained_one_learns_and_leaves_its_network_in_prediction():
    preprocessor = Preprocessor(target="sold", columns=INPUT).fit(TABLE)
    hidden = Dense(preprocessor.n_features, 8, "tanh", rng=0)
    model = Predictor(Sequential(hidden, tn.nn.Dropout(0.2, rng=0), Dense(8, 2, rng=1)), preprocessor)
    optimizer = tn.optim.Adam(model.parameters(), lr=0.05)
    tn.fit(model, tn.cross_entropy, optimizer, preprocessor.pair(TABLE), epochs=60, rng=0)
    assert model.predict(TABLE).tolist() == TABLE["sold"].tolist()
    model.train()
    assert (model.predict_proba(TABLE) == model.predict_proba(TABLE)).all()  # without dropout
    assert model.training


@pytest.mark.parametrize(("target", "shape"), [("price", (6,)), (["price"], (6,)), (["price", "size"], (4,))])
def test_numbers_come_in_the_units_of_the_table(target, shape):
    if shape == (4,):
        rows = TABLE[~TABLE.missing("size")]
        preprocessor = Preprocessor(target=target, columns=["kind"]).fit(rows)
        model = Predictor(network(preprocessor), preprocessor)
        assert model.predict(rows).shape == (5, 2)
        return
    model = regressor(target)
    Z = model.network(model.preprocessor.transform(TABLE)).numpy()[0]
    price = TABLE["price"]
    assert model.predict(TABLE).shape == shape
    np.testing.assert_allclose(model.predict(TABLE), Z * price.std() + price.mean())
    assert model.classes_ is None


def test_all_forms_of_rows_say_the_same(tmp_path):
    pandas = pytest.importorskip("pandas")
    model = classifier()
    expected = model.predict_proba(TABLE)
    path = tmp_path / "rows.csv"
    path.write_text("kind,size\n" + "".join(
        f"{k or ''},{'' if s != s else s}\n" for k, s in zip(TABLE["kind"], TABLE["size"], strict=True)
    ))  # fmt: skip
    forms = [
        path, str(path), TABLE[INPUT], dict(TABLE[INPUT].columns), pandas.DataFrame(TABLE[INPUT].columns),
        [{"size": s, "kind": k} for s, k in zip(TABLE["size"], TABLE["kind"], strict=True)],
    ]  # fmt: skip
    for rows in forms:
        assert (model.predict_proba(rows) == expected).all()
    assert (model.predict_proba(TABLE[2:3]) == expected[2:3]).all() or np.allclose(
        model.predict_proba(TABLE[2:3]), expected[2:3], rtol=1e-14
    )
    assert model.predict(TABLE[[]]).shape == (0,)
    assert model.predict([{"size": 1.0, "kind": "a", "more": 2}], extra="ignore").shape == (1,)


def test_many_rows_in_pieces():
    model = regressor()
    rows = Table({"size": np.linspace(0, 9, 40_000), "kind": np.array(["a", "b"])[np.arange(40_000) % 2]})
    Z = model.network(model.preprocessor.transform(rows)).numpy()
    np.testing.assert_allclose(model.predict(rows), model.preprocessor.in_units(Z)[0], rtol=1e-12)


def test_arrays_are_rows_unless_it_is_said():
    net = Sequential(Dense(3, 2, rng=0))
    X = np.random.default_rng(0).normal(size=(5, 3))
    rows, columns = Predictor(net), Predictor(net, examples="columns")
    Z = net(X.T).numpy()
    assert (rows.predict(X) == Z.T).all()
    assert (columns.predict(X.T) == Z).all()
    labelled = Predictor(net, classes=["a", "b"])
    assert labelled.predict(X).tolist() == [["a", "b"][k] for k in Z.argmax(axis=0)]
    assert labelled.predict(X.tolist()).tolist() == labelled.predict(X).tolist()
    assert labelled.predict_proba(X).shape == (5, 2)
    assert Predictor(net, classes=[3, 7], examples="columns").predict_proba(X.T).shape == (2, 5)
    assert Predictor(Sequential(Dense(3, 1))).predict(X).shape == (5,)
    assert Predictor(Sequential(Dense(3, 1)), examples="columns").predict(X.T).shape == (1, 5)


# --- saved


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize(
    "make", [classifier, regressor, lambda: classifier(indicator=True), lambda: classifier(1, "sigmoid")]
)  # fmt: skip
def test_saved_and_loaded_it_says_the_same(tmp_path, make, suffix):
    model = make()
    path = model.save(tmp_path / f"model{suffix}")
    again = tn.nn.load(path)
    assert type(again) is Predictor
    assert (again.predict(TABLE) == model.predict(TABLE)).all()
    if model.classes_ is not None:
        assert again.classes_.tolist() == model.classes_.tolist()
    assert repr(again) == repr(model)
    assert model.load(path) is model
    assert checkpoint.read(path).library == tn.__version__


def test_plain_labels_are_saved_too(tmp_path):
    model = Predictor(Sequential(Dense(3, 2, rng=0)), classes=[3, 7], examples="columns")
    again = tn.nn.load(model.save(tmp_path / "m"))
    assert (again.classes_.tolist(), again.examples) == ([3, 7], "columns")


def test_a_file_of_another_preprocessing_is_refused(tmp_path):
    path = classifier().save(tmp_path / "m")
    other = classifier(fill="median")
    with pytest.raises(tn.checkpoint.CheckpointError, match=r"belongs to another model: architecture|preprocessing"):
        other.load(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["preprocessing"].update(features=[]), "the preprocessing has no features"),
        (
            lambda c: c["preprocessing"]["features"][0].update(scale=0.0),
            "preprocessing of column 'size' is not what",
        ),
        (lambda c: c["preprocessing"]["features"].pop(), "the network takes 4 features, the preprocessor makes 1"),
        (
            lambda c: c["preprocessing"].update(target={"kind": "classes"}),
            "target of the preprocessing is not what",
        ),
        (lambda c: c["preprocessing"]["reading"].update(header=3), "does not say how its table was read"),
        (lambda c: c.update(examples="diagonals"), "examples='diagonals', expected 'rows' or 'columns'"),
        (lambda c: c.update(classes=["a", "b"]), "classes= is for networks without a preprocessor"),
        (lambda c: c.update(more=1), "unexpected keyword argument 'more'"),
    ],
)
def test_forged_files_are_refused(tmp_path, change, said):
    config = json.loads(json.dumps(classifier().config()))
    change(config)
    with pytest.raises((ValueError, TypeError), match=said):
        tn.nn.build(config)


def test_a_file_of_another_release_says_so(tmp_path, monkeypatch):
    model = classifier()
    with monkeypatch.context() as patch:
        patch.setattr(tn, "__version__", "99.1")
        patch.setattr(Predictor, "_settings", lambda self: {"layers": [], "future": 1})
        path = model.save(tmp_path / "m")
    with pytest.raises(tn.checkpoint.CheckpointError, match=r"\(tinygrad_nn 99.1 wrote it, this is "):
        tn.nn.load(path)


# --- mistakes


class Backwards(Sequential):
    """A network whose last layer is not what it ends in: known when it is asked."""

    def forward(self, X):
        return self[0](self[1](X))


MISTAKES = [
    (lambda: Predictor("net"), "Predictor: network is of type str, expected a tn.nn.Module"),
    (lambda: Predictor(Sequential(Dense(7, 2)), classifier().preprocessor),
     ("Predictor: the network takes 7 features, the preprocessor makes 4: its first layer is "
      "Dense(preprocessor.n_features, ...)")),
    (lambda: Predictor(Sequential(Dense(4, 3)), classifier().preprocessor),
     ("Predictor: the network has 3 outputs for 2 classes: its last layer is Dense(..., preprocessor.n_outputs)")),
    (lambda: Predictor(Sequential(Dense(4, 8), Sequential(Dense(8, 3), tn.nn.Activation("softmax"))),
                       classifier().preprocessor),
     ("Predictor: the network has 3 outputs for 2 classes: its last layer is Dense(..., preprocessor.n_outputs)")),
    (lambda: Predictor(Sequential(Dense(4, 1)), classes=["a", "b", "c"]),
     "Predictor: the network has 1 output for 3 classes: its last layer is Dense(..., 3)"),
    (lambda: Predictor(Backwards(Dense(3, 4), Dense(4, 3)), classifier().preprocessor).predict(TABLE),
     ("Predictor: the network has 4 outputs for 2 classes: its last layer is Dense(..., preprocessor.n_outputs)")),
    (lambda: Predictor(Sequential(Dense(4, 3)), regressor().preprocessor),
     "Predictor: the network has 3 outputs for 1 number: its last layer is Dense(..., preprocessor.n_outputs)"),
    (lambda: regressor().predict_proba(TABLE),
     ("Predictor.predict_proba: the model has no classes: predict(X) gives its numbers, and "
      "Predictor(network, classes=[...]) names the outputs")),
    (lambda: Predictor(Dense(4, 2), classes=["a"]),
     "Predictor: classes=['a'], expected two or more different texts or whole numbers"),
    (lambda: Predictor(Dense(4, 2), examples="rowss"), "Predictor: examples='rowss', expected 'rows' or 'columns'"),
    (lambda: Predictor(Dense(4, 2), preprocessor=3),
     ("Predictor: preprocessor is of type int, expected a tn.data.Preprocessor; a pipeline of scikit-learn holds an "
      "estimator of tn.sklearn")),
    (lambda: Predictor(Dense(4, 2), Preprocessor(target="sold")),
     "Preprocessor.n_features was asked for before fit; call fit(train) first"),
    (lambda: classifier().predict([{"size": 1.0}]),
     "Preprocessor.transform: the columns 'kind' of training are missing; there are size"),
    (lambda: Sequential(Dense(4, 2)).predict(TABLE),
     ("Sequential has no predict: tn.nn.Predictor(network, preprocessor) predicts from rows; "
      "network(X) takes columns")),
]  # fmt: skip


@pytest.mark.parametrize(("ask", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes(raised, ask, message):
    assert raised((ValueError, TypeError, RuntimeError, AttributeError), ask) == message


@pytest.mark.peers
def test_pytorch_says_the_same_with_the_weights_of_the_page():
    """As docs/tables.md says it."""
    torch = pytest.importorskip("torch")
    model = classifier()
    state = {}
    for i, layer in enumerate(model.network):
        state[f"{2 * i}.weight"], state[f"{2 * i}.bias"] = layer.W.numpy(), layer.b.numpy()[:, 0]
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Tanh(), torch.nn.Linear(4, 2)).double()
    theirs.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
    rows = torch.tensor(model.preprocessor.transform(TABLE).T)
    np.testing.assert_allclose(theirs(rows).softmax(1).detach().numpy(), model.predict_proba(TABLE), rtol=1e-12)


def test_several_labels_at_a_time(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    rows = tn.data.Table({"x": x, "high": (x > 0.5).astype(int), "low": x < -0.5})
    preprocessor = tn.data.Preprocessor(target=["high", "low"], task="classification").fit(rows)
    for last, loss in (
        (None, tn.binary_cross_entropy),
        ("sigmoid", lambda p, y: tn.binary_cross_entropy(p, y, from_logits=False)),
    ):
        network = tn.nn.Sequential(tn.nn.Dense(1, 2, last or "identity", rng=0))
        optimizer = tn.optim.Adam(network.parameters(), lr=0.1)
        tn.fit(network, loss, optimizer, preprocessor.pair(rows), epochs=40, rng=0, progress=False)
        model = tn.nn.load(tn.nn.Predictor(network, preprocessor).save(tmp_path / "m.npz"))
        expected = np.stack([x > 0.5, x < -0.5], axis=1)
        assert (model.predict(rows) == expected).mean() > 0.97
        P = model.predict_proba(rows)
        assert P.shape == (200, 2)
        assert ((P > 0.5) == model.predict(rows)).all()
        outputs = network(preprocessor.transform(rows))
        np.testing.assert_allclose(P.T, (outputs if last else tn.sigmoid(outputs)).numpy(), rtol=1e-12)
        (tmp_path / "new.csv").write_text("x\n3\n-3\n0\n")
        assert predictions(tmp_path / "m.npz", tmp_path / "new.csv")[1].tolist() == [[1, 0], [0, 1], [0, 0]]
        names, values = predictions(tmp_path / "m.npz", tmp_path / "new.csv", proba=True)
        assert (names, values.shape) == (["high", "low"], (3, 2))


def test_a_network_without_layers_gives_what_it_is_given():
    rows = np.array([[0.5, 2.0], [1.0, -3.0]])
    np.testing.assert_array_equal(tn.nn.Predictor(tn.nn.Sequential()).predict(rows), rows)
