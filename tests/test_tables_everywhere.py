"""A predictor and its table go into whatever takes a network and arrays, or the way out is named."""

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import cli

TABLE = tn.data.Table({
    "size": [1.0, 2.0, 4.0, 9.0, 1.5, 8.5],
    "kind": ["a", "b", "c", "b", "c", "a"],
    "sold": ["no", "no", "yes", "yes", "no", "yes"],
})  # fmt: skip


def predictor(encode="one_hot"):
    preprocessor = tn.data.Preprocessor(target="sold", encode=encode).fit(TABLE)
    first, n = [], preprocessor.n_features
    if encode == "index":
        first = [tn.nn.FeatureEmbedding(n, preprocessor.category_sizes, rng=0)]
        n = first[0].out_features
    layers = [tn.nn.Dense(n, 4, "tanh", rng=1), tn.nn.Dense(4, 2, rng=2)]
    return tn.nn.Predictor(tn.nn.Sequential(*first, *layers), preprocessor)


def refused(kind, function, *args, **kwargs):
    with pytest.raises(kind) as found:
        function(*args, **kwargs)
    return str(found.value)


# --- predictions of rows ---------------------------------------------------------------------------------------------


def test_shapes_are_told_in_rows():
    model = tn.nn.Predictor(tn.nn.Sequential(tn.nn.Dense(2, 3, rng=0)), classes=["a", "b", "c"])
    said = "Predictor: X has shape {}, expected rows (N, 2), one for each example"
    assert refused(tn.errors.ShapeError, model.predict, np.ones((2, 4))) == said.format((2, 4)) + ": X.T fits"
    assert refused(tn.errors.ShapeError, model.predict_proba, np.ones((3, 4))) == said.format((3, 4))
    assert refused(tn.errors.ShapeError, model.predict, [1.0, 2.0]) == (
        said.format((2,)) + ": X.reshape(1, -1) is one row"
    )
    assert model.predict([[1.0, 2.0]]).shape == (1,)
    columns = tn.nn.Predictor(tn.nn.Dense(2, 3, rng=0), examples="columns")
    assert "expects examples as columns, shape (2, N)" in refused(
        tn.errors.ShapeError, columns.predict, np.ones((4, 3))
    )


@pytest.mark.parametrize("encode", ["one_hot", "index"])
def test_no_rows_have_no_predictions(encode):
    model = predictor(encode)
    assert model.predict([]).tolist() == model.predict(TABLE[:0]).tolist() == []
    assert model.predict([]).dtype == model.predict(TABLE[:0]).dtype
    assert model.predict_proba([]).shape == (0, 2)
    plain = tn.nn.Predictor(tn.nn.Dense(2, 3, rng=0))
    assert plain.predict([]).shape == plain.predict(np.ones((0, 2))).shape == (0, 3)
    own = tn.nn.Predictor(tn.nn.Activation("relu"))
    assert refused(ValueError, own.predict, []).startswith("Predictor: X is empty: np.empty((0, features)) says")


def test_a_predictor_is_called_with_columns():
    assert refused(TypeError, predictor(), TABLE) == (
        "Predictor: called with a Table, expected the columns of numbers that its network takes: predict(table), or "
        "network(preprocessor.transform(table))"
    )


# --- pictures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("encode", ["one_hot", "index"])
def test_predictors_are_drawn_with_a_row_or_without(encode):
    model = predictor(encode)
    X = model.preprocessor.transform(TABLE[:1])
    assert tn.draw(model, TABLE[:1]).svg() == tn.draw(model, X).svg()
    assert "one example, made up, with" in str(tn.draw(model).svg())
    made = model._example_columns(7)
    if encode == "index":
        assert "one example, made up" in tn.draw(model.network).svg()
        assert sorted(set(made[1].tolist())) == [1, 2, 3]
    else:
        assert (made[1:].sum(axis=0) == 1).all()
        assert made[1:].any(axis=1).all()
    assert made.shape == (model.preprocessor.n_features, 7)
    assert np.isfinite(model(made).numpy()).all()


@pytest.mark.parametrize("encode", ["one_hot", "index"])
def test_plots_take_a_predictor_and_its_table(encode):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    model = predictor(encode)
    for plot in (tn.plot.confusion_matrix, tn.plot.roc_curve, tn.plot.calibration):
        assert plot(model, TABLE, TABLE["sold"]) is not None
    result = tn.attribution.integrated_gradients(model, TABLE)
    assert tn.plot.contributions(result) is not None
    said = refused(ValueError, tn.plot.decision_boundary, model, TABLE)
    shape = "X has shape (4, 6), expected points in the plane (2, N)"
    assert (shape if encode == "one_hot" else "the model looks up numbers of categories") in said
    plane = tn.data.Table({"size": TABLE["size"], "age": TABLE["size"][::-1], "sold": TABLE["sold"]})
    preprocessor = tn.data.Preprocessor(target="sold").fit(plane)
    flat = tn.nn.Predictor(tn.nn.Dense(2, 2, rng=0), preprocessor)
    ax = tn.plot.decision_boundary(flat, plane, plane["sold"])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["no", "yes"]
    surface = refused(TypeError, tn.plot.loss_surface, flat, tn.cross_entropy, plane)
    assert "is a Table, expected a pair of arrays (X, Y) of numbers" in surface
    pyplot.close("all")


# --- training --------------------------------------------------------------------------------------------------------


def test_training_on_a_table_names_what_makes_arrays_of_it():
    preprocessor = predictor().preprocessor
    model = tn.nn.Dense(preprocessor.n_features, 2, rng=0)

    def fit(data, **settings):
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
        return tn.fit(model, tn.cross_entropy, optimizer, data, epochs=1, progress=False, **settings)

    said = (
        "is a Table, expected a pair of arrays (X, Y) of numbers, X of shape (features, N): preprocessor.pair(table) "
        "makes them, where preprocessor = tn.data.Preprocessor(target=...).fit(train)"
    )
    assert refused(TypeError, fit, TABLE) == f"fit: data {said}"
    assert refused(TypeError, fit, preprocessor.pair(TABLE), validation=TABLE) == f"fit: validation {said}"
    assert refused(TypeError, tn.training.evaluate, model, "mse", TABLE) == f"fit: the data to measure {said}"
    assert refused(TypeError, fit, (TABLE, TABLE["sold"])) == (
        "batches: X is of type Table, expected a NumPy array; tn.data.Preprocessor(target=...).fit(table).pair(table) "
        "makes X and Y of a table"
    )
    assert len(fit(preprocessor.pair(TABLE)).loss) == 1


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("form", ["pair", "batches", "stream"])
@pytest.mark.parametrize("weights", [{7: 2.0}, {0: 1.0, 7: 2.0}, [1.0, 1.0, 1.0, 1.0]])
def test_weights_of_classes_that_are_not_there_are_refused(form, weights, compiled):
    X, y = np.random.default_rng(0).normal(size=(4, 12)), np.arange(12) % 3
    data = {"pair": (X, y), "batches": tn.data.batches(X, y, 6), "stream": tn.data.stream(X.T, y, 6)}[form]
    for outputs, most in ((3, 2), (1, 1)):
        model = tn.nn.Dense(4, outputs, rng=0)
        before = model.W.numpy().copy()
        optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
        loss, of = tn.cross_entropy, data
        if outputs == 1:
            loss, of = tn.binary_cross_entropy, (X, (y > 0).astype(float)[np.newaxis])
        strange = most + 1 if isinstance(weights, list) else 7
        which = "3 outputs are the classes" if outputs == 3 else "one output tells classes"
        said = refused(
            ValueError, tn.fit, model, loss, optimizer, of, epochs=1, progress=False, class_weight=weights,
            compile=compiled,
        )  # fmt: skip
        assert said == (
            f"fit: class_weight has a weight of class {strange}, and the model's {which} 0 to {most}: leave it out"
        )
        assert np.array_equal(model.W.numpy(), before)
        assert "has a weight of class" in refused(
            ValueError, tn.training.evaluate, model, loss, (X, y) if outputs == 3 else of, class_weight=weights
        )


def test_classes_that_these_data_lack_may_have_weights():
    X, y = np.random.default_rng(0).normal(size=(4, 12)), np.arange(12) % 2
    model = tn.nn.Dense(4, 3, rng=0)
    optimizer = tn.optim.SGD(model.parameters(), lr=0.1)
    found = tn.fit(model, tn.cross_entropy, optimizer, (X, y), epochs=1, progress=False, class_weight={2: 5.0})
    assert len(found.loss) == 1


@pytest.mark.parametrize("audit", [-1, 2.5, "often", None])
def test_compile_says_what_audit_may_be(audit):
    assert refused(ValueError, tn.compile, lambda x: x, audit=audit) == (
        f"compile: audit={audit!r}, expected True, False, or a number n: every n-th call"
    )


# --- other programs' files -------------------------------------------------------------------------------------------


@pytest.mark.engines
@pytest.mark.parametrize("encode", ["one_hot", "index"])
def test_onnx_takes_tables_and_the_command_makes_its_own_examples(encode, tmp_path, monkeypatch):
    reference = pytest.importorskip("onnx.reference")
    monkeypatch.chdir(tmp_path)
    model = predictor(encode)
    model.save("model.npz")
    X = model.preprocessor.transform(TABLE)
    exported = tn.onnx.export(model, TABLE, "a.onnx")
    assert cli.main(["export", "model.npz", "b.onnx"]) == 0
    for of in (exported, "b.onnx", tn.onnx.export(model, X), tn.onnx.export(model, [*_rows(TABLE)])):
        (Y,) = reference.ReferenceEvaluator(of).run(None, {"X": X})
        np.testing.assert_allclose(Y, model(X).numpy(), rtol=1e-12)


def _rows(table):
    for i in range(len(table)):
        yield {name: table[name][i] for name in ("size", "kind")}


@pytest.mark.engines
def test_the_command_knows_categories_and_says_when_it_does_not(tmp_path, monkeypatch, capsys):
    pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    tn.nn.Sequential(tn.nn.FeatureEmbedding(3, {1: 4}, rng=0), tn.nn.Dense(4, 2, rng=0)).save("features.npz")
    assert cli.main(["export", "features.npz", "m.onnx"]) == 0
    tn.nn.Sequential(tn.nn.Embedding(5, 2, rng=0), tn.nn.Dense(6, 2, rng=0)).save("words.npz")
    assert cli.main(["export", "words.npz", "m.onnx", "--shape", "3"]) == 0
    capsys.readouterr()
    assert cli.main(["export", "words.npz", "m.onnx"]) == 2
    assert "begins with an embedding: --shape says how many categories an example has" in capsys.readouterr().err


@pytest.mark.engines
def test_errors_within_an_export_name_the_operation_once():
    pytest.importorskip("onnx")
    said = refused(ValueError, tn.onnx.export, tn.nn.Sequential(tn.nn.Embedding(3, 2, rng=0)), np.array([0.5]))
    assert said.count("embedding: ") == 1
    assert "is 0.5, expected a whole number from 0 to 2" in said


@pytest.mark.engines
def test_what_follows_n_by_no_formula_is_no_bug_of_the_package():
    pytest.importorskip("onnx")
    said = refused(tn.ExportError, tn.onnx.export, lambda X: X * (X.shape[1] % 2), np.ones((3, 4)))
    assert said == (
        "Y of the exported model is off by 1 with N = 5; something in the function depends on N in a way that no "
        "formula a·N + b follows, as N % 2 and a branch on N do: compute it with operations on X, or export for the "
        "shape of X alone by batch_axis=None; if nothing does, please report it"
    )


@pytest.mark.engines
@pytest.mark.parametrize("encode", ["one_hot", "index"])
def test_stablehlo_takes_tables(encode, tmp_path):
    jax = pytest.importorskip("jax")
    model = predictor(encode)
    X = model.preprocessor.transform(TABLE)
    for given in (TABLE, X, None):
        path = tn.export_stablehlo(model, tmp_path / "model.stablehlo", X=given)
        with jax.enable_x64(True):
            found = jax.export.deserialize(path.read_bytes()).call(X)
        np.testing.assert_allclose(found, model(X).numpy(), rtol=1e-12)
