"""Streams: every source gives the same batches, orders repeat, memory stays small, and errors say what to do."""

import copy
import importlib
import importlib.util
import subprocess
import sys
import textwrap

import numpy as np
import pytest

import tinygrad_nn as tn

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

RNG = np.random.default_rng(0)
N = 1000
ROWS = RNG.normal(size=(N, 3))
LABELS = RNG.integers(0, 4, N)
NAMES = ["a", "b", "c"]


def table():
    return pa.table({**{name: ROWS[:, j] for j, name in enumerate(NAMES)}, "label": LABELS})


class Frame:
    """Has nothing but Arrow's interface, as frames of other libraries do."""

    def __arrow_c_stream__(self, requested_schema=None):
        return table().__arrow_c_stream__(requested_schema)


class Batched:
    """Rows in batches of 64, as a loader gives them."""

    def __iter__(self):
        return iter([(ROWS[i : i + 64], LABELS[i : i + 64]) for i in range(0, N, 64)])


class Named:
    """Columns by name, as Hugging Face's datasets give them."""

    def iter(self, batch_size):
        for i in range(0, N, batch_size):
            part = table().slice(i, batch_size)
            yield {name: part[name].to_pylist() for name in part.column_names}


class ToBatches:
    def to_batches(self):
        return table().to_batches(max_chunksize=100)


def parquet_file(folder):
    parquet.write_table(table(), folder / "rows.parquet", row_group_size=128)
    return folder / "rows.parquet"


def parquet_folder(folder):
    for number in range(4):
        parquet.write_table(table().slice(250 * number, 250), folder / f"part{number}.parquet", row_group_size=100)
    return folder


def npy(folder):
    np.save(folder / "rows.npy", np.column_stack([ROWS, LABELS]))
    return folder / "rows.npy"


def dataset(folder):
    return pytest.importorskip("pyarrow.dataset").dataset(parquet_folder(folder))


# What gives the rows, and how its target is said.
SOURCES = {
    "Parquet file": (parquet_file, "label"),
    "folder": (parquet_folder, "label"),
    "paths": (lambda folder: sorted(parquet_folder(folder).glob("*")), "label"),
    "ParquetFile": (lambda folder: parquet.ParquetFile(parquet_file(folder)), "label"),
    "dataset": (dataset, "label"),
    "Arrow table": (lambda folder: table(), "label"),
    "C stream": (lambda folder: Frame(), "label"),
    "to_batches": (lambda folder: ToBatches(), "label"),
    "iter": (lambda folder: Named(), "label"),
    "array": (lambda folder: np.column_stack([ROWS, LABELS]), 3),
    "array and labels": (lambda folder: ROWS, LABELS),
    "npy": (npy, 3),
    "pairs": (lambda folder: Batched(), None),
    "list of pairs": (lambda folder: list(Batched()), None),
}


@pytest.mark.parametrize("name", SOURCES)
def test_every_source_gives_the_rows_as_columns_again_and_again(name, tmp_path):
    make, target = SOURCES[name]
    stream = tn.data.stream(make(tmp_path), target, batch_size=48)
    for _ in range(2):
        batches = list(stream)
        assert [X.shape for X, _ in batches] == [(3, 48)] * 20 + [(3, 40)]
        np.testing.assert_array_equal(np.concatenate([X for X, _ in batches], axis=1), ROWS.T)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS)
        assert all(X.dtype == np.float64 and not X.flags.writeable for X, _ in batches)
    assert stream.n_examples in (N, None)


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("buffer", [1, 10, 300, 5000])
def test_shuffled_epochs_have_all_rows_and_repeat_by_their_number(name, buffer, tmp_path):
    make, target = SOURCES[name]
    source = make(tmp_path)
    stream = tn.data.stream(source, target, 37, shuffle_buffer=buffer, rng=7)
    epochs = [list(stream) for _ in range(3)]
    again = tn.data.stream(source, target, 37, shuffle_buffer=buffer, rng=7)
    again.set_epoch(3)
    for (X, y), (same, labels) in zip(epochs[2], again, strict=True):
        np.testing.assert_array_equal(X, same)
        np.testing.assert_array_equal(y, labels)
    rows = {tuple(x): label for x, label in zip(ROWS, LABELS, strict=True)}
    for epoch in epochs:
        X, y = np.concatenate([X for X, _ in epoch], axis=1), np.concatenate([y for _, y in epoch])
        assert X.shape == (3, N)
        assert {tuple(x): label for x, label in zip(X.T, y, strict=True)} == rows
        if buffer > 1:
            assert not np.array_equal(X, ROWS.T)
    first, second = (np.concatenate([X for X, _ in epoch], axis=1) for epoch in epochs[:2])
    assert not np.array_equal(first, second) or buffer == 1


def test_a_buffer_of_all_rows_shuffles_evenly():
    rows = np.arange(20.0)[:, None]
    places = np.zeros((20, 20))
    stream = tn.data.stream(rows, batch_size=20, shuffle_buffer=20, rng=0)
    for _ in range(2000):
        (X,) = stream
        places[np.arange(20), X[0].astype(int)] += 1
    assert abs(places / 2000 - 1 / 20).max() < 0.025


def test_columns_targets_and_classes():
    text = pa.table({"x": [1.0, 2.0, 3.0], "y": [4, 5, 6], "kind": ["no", "yes", "no"], "z": [7.0, 8.0, 9.0]})
    ((X, y),) = tn.data.stream(text, "kind", columns=["z", "x"], classes=["no", "yes"])
    assert X.tolist() == [[7, 8, 9], [1, 2, 3]]
    assert y.tolist() == [0, 1, 0]
    ((X, Y),) = tn.data.stream(text, ["x", "z"], columns=["y"], dtype=np.float32)
    assert X.tolist() == [[4, 5, 6]]
    assert Y.tolist() == [[1, 2, 3], [7, 8, 9]]
    assert X.dtype == Y.dtype == np.float32
    assert tn.data.stream(text, "kind", columns=["z", "x"], classes=["no", "yes"]).names == ["z", "x"]
    coded = pa.table({"x": [1.0, 2.0], "kind": pa.array(["b", "a"]).dictionary_encode()})
    ((_, y),) = tn.data.stream(coded, "kind", classes=["a", "b"])
    assert y.tolist() == [1, 0]


def test_lists_of_one_length_are_features_and_images_keep_their_axes():
    lists = pa.table({"v": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(6.0)), 3), "y": [0, 1]})
    ((X, _),) = tn.data.stream(lists, "y")
    assert X.tolist() == [[0, 3], [1, 4], [2, 5]]
    images = RNG.normal(size=(10, 2, 4, 4))
    ((X, _),) = tn.data.stream([(images, np.arange(10))])
    assert X.shape == (2, 4, 4, 10)
    np.testing.assert_array_equal(np.moveaxis(X, -1, 0), images)


def test_the_last_batch_can_be_left_out():
    assert [X.shape[1] for X in tn.data.stream(ROWS, batch_size=300, drop_last=True)] == [300, 300, 300]


def test_training_on_a_stream_is_training_on_its_arrays():
    def trained(data):
        model = tn.nn.Sequential(tn.nn.Dense(3, 8, "tanh", rng=0), tn.nn.Dense(8, 4, rng=1))
        tn.fit(model, tn.cross_entropy, tn.optim.Adam(model.parameters()), data, epochs=3)
        return [p.numpy() for p in model.parameters()]

    from_table = trained(tn.data.stream(table(), "label", batch_size=50))
    from_arrays = trained(tn.data.batches(ROWS.T, LABELS, batch_size=50, shuffle=False))
    for p, q in zip(from_table, from_arrays, strict=True):
        np.testing.assert_array_equal(p, q)


def test_memory_stays_below_two_row_groups(tmp_path):
    """A file ten times as large as what the process may add to its memory while it trains."""
    program = """
        import resource, sys
        import numpy as np, pyarrow as pa, pyarrow.parquet as parquet
        import tinygrad_nn as tn

        path, group, groups, d = sys.argv[1], 20_000, 40, 32
        schema = pa.schema([(f"x{j}", pa.float64()) for j in range(d)] + [("y", pa.int64())])
        with parquet.ParquetWriter(path, schema, compression="none", use_dictionary=False) as writer:
            for g in range(groups):
                rng = np.random.default_rng(g)
                columns = [rng.normal(size=group) for _ in range(d)] + [rng.integers(0, 2, group)]
                writer.write_table(pa.table(columns, schema=schema), row_group_size=group)
        del columns
        bytes_of_group = group * (d + 1) * 8
        layers = (d, 16, "tanh"), (16, 2)
        model = tn.nn.Sequential(*(tn.nn.Dense(*layer, rng=0, dtype=np.float32) for layer in layers))
        optimizer = tn.optim.SGD(model.parameters(), lr=0.01)
        stream = tn.data.stream(path, "y", batch_size=1000, shuffle_buffer=5000, rng=0, dtype=np.float32)

        def resident():
            with open("/proc/self/status") as file:
                status = dict(line.split(":", 1) for line in file)
            return 1024 * int(status["VmRSS"].split()[0])

        def step(X, y):
            J = tn.cross_entropy(model(X), y)
            optimizer.zero_grad(); J.backward(); optimizer.step()

        warm = iter(stream)
        step(*next(warm))
        del warm
        before, most = resident(), 0
        for number, (X, y) in enumerate(stream):
            step(X, y)
            most = max(most, resident())
        print(bytes_of_group * groups, bytes_of_group, most - before)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path / "large.parquet")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    file, group, grown = map(int, done.stdout.split())
    assert grown < 2 * group, f"{grown:,} bytes, of a file of {file:,} in row groups of {group:,}"


# --- errors


def raised(kind, *arguments, **settings):
    with pytest.raises(kind) as caught:
        list(tn.data.stream(*arguments, **settings))
    return str(caught.value)


def test_errors_say_what_to_do(tmp_path):
    gaps = pa.table({"x": [1.0, None], "y": [0, 1]})
    assert raised(ValueError, gaps, "y") == (
        "stream: column 'x' has 1 gaps in these rows; fill them before, or fit a tn.data.Preprocessor to a part that "
        "fits into memory"
    )
    text = pa.table({"x": ["a", "b"], "y": ["no", "yes"]})
    assert raised(ValueError, text, "y").startswith(
        "stream: column 'x' has dtype object, expected real numbers; leave it"
    )
    assert raised(ValueError, text.select(["y"]).append_column("z", [[1.0, 2.0]]), "y").startswith(
        "stream: target 'y' has dtype object; text labels need classes=, all of them in their order"
    )
    assert raised(ValueError, text, "y", columns=[], classes=["no"]).startswith(
        "stream: there are no columns left for X"
    )
    assert raised(ValueError, table(), "label", classes=[0, 1, 2]).startswith(
        "stream: target 'label' holds 3, which is none of classes=[0, 1, 2]"
    )
    assert raised(ValueError, table(), "lable") == (
        "stream: there is no column 'lable'; there are 'a', 'b', 'c', 'label'"
    )
    assert raised(ValueError, np.ones(3)) == "stream: array (3,) has shape (3,), expected rows (N, features)"
    assert raised(ValueError, ROWS, LABELS[:-1]) == (
        "stream: array (1000, 3) has 1000 rows, the target of shape (999,) has 999; in a stream examples are rows"
    )
    assert raised(TypeError, 3).startswith("stream: the source is of type int, expected a Parquet file or .npy")
    assert raised(FileNotFoundError, tmp_path / "no.parquet") == f"stream: there is no file {tmp_path / 'no.parquet'}"
    (tmp_path / "x.csv").write_text("1,2\n")
    assert raised(ValueError, tmp_path / "x.csv").startswith("stream: x.csv is no .parquet and no .npy file; ")
    assert raised(ValueError, tmp_path).endswith("holds no .parquet file")
    assert raised(TypeError, table(), "label", columns="a") == "stream: columns='a', expected a list of names, as ['a']"
    assert raised(TypeError, ROWS, dtype=int) == "stream: dtype=int64, expected a float such as np.float32"
    assert raised(ValueError, ROWS, batch_size=0) == "stream: batch_size=0, expected at least 1"
    assert raised(TypeError, [3]) == (
        "stream: batch 1 of the source is of type int, expected rows (n, features), or a pair (X, y) of them"
    )
    assert raised(TypeError, [(ROWS, LABELS, LABELS)]) == (
        "stream: batch 1 of the source is of type tuple, expected a pair (X, y) of rows"
    )
    assert raised(ValueError, [(ROWS, LABELS[:5])]).startswith(
        "stream: batch 1 of the source has X of shape (1000, 3) and"
    )
    assert raised(ValueError, [(ROWS, LABELS), (ROWS[:, :2], LABELS)]) == (
        "stream: examples have shape (3,) at first and (2,) later; expected one shape"
    )


def test_without_pyarrow_one_sentence_says_what_to_install(tmp_path, monkeypatch):
    path = parquet_file(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    for source in (path, Frame()):
        assert raised(ImportError, source, "label") == (
            "stream: Arrow and Parquet need pyarrow: pip install 'tinygrad_nn[tables]'"
        )


def test_what_is_hidden_in_a_source_is_an_error(tmp_path):
    lists = pa.table({"v": pa.array([[1.0, None], [3.0, 4.0]], pa.list_(pa.float64(), 2)), "y": [0, 1]})
    assert raised(ValueError, lists, "y").startswith("stream: column 'v' has 1 gaps in these rows; ")
    assert raised(ValueError, np.array([[1e300, 1.0]]), dtype=np.float32) == (
        "stream: column 'X' holds 1e+300, which float32 cannot; give dtype=np.float64"
    )
    assert raised(ValueError, table(), "label", classes=[0, 1, 0]) == (
        "stream: classes has 0 twice; expected each label once, in their order"
    )
    parquet_folder(tmp_path)
    parquet.write_table(table().drop_columns(["b"]), tmp_path / "part9.parquet")
    assert raised(ValueError, tmp_path, "label") == ("stream: file 5 of 5 has no column 'b'; it has 'a', 'c', 'label'")
    np.save(tmp_path / "objects.npy", np.array([[1, "a"]], object))
    assert raised(ValueError, tmp_path / "objects.npy").startswith(
        "stream: objects.npy is no file of numbers that can be mapped into memory: "
    )


def test_truth_values_and_floats_are_labels():
    for labels, classes in ((LABELS > 1, None), ((LABELS > 1) * 1.0, range(2))):
        y = np.concatenate([y for _, y in tn.data.stream(ROWS, labels, classes=classes)])
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, LABELS > 1)


@pytest.mark.parametrize("rng", [None, 3, np.random.default_rng(5)])
def test_a_training_on_a_stream_is_resumed_in_the_same_order(rng, tmp_path):
    def trained(stream, *epochs):
        model = tn.nn.Sequential(tn.nn.Dense(3, 8, "tanh", rng=0), tn.nn.Dense(8, 4, rng=1))
        optimizer = tn.optim.Adam(model.parameters())
        for number in epochs:
            tn.fit(model, tn.cross_entropy, optimizer, stream(), epochs=number, checkpoint=tmp_path / "c", resume=True)
        (tmp_path / "c.npz").unlink(missing_ok=True)
        return [p.numpy() for p in model.parameters()]

    first = tn.data.stream(table(), "label", shuffle_buffer=200, rng=rng)
    state = copy.deepcopy(first.rng)

    def again():
        stream = tn.data.stream(table(), "label", shuffle_buffer=200)
        stream.rng = copy.deepcopy(state)
        return stream

    straight = trained(again, 4)
    made = iter([again(), tn.data.stream(table(), "label", shuffle_buffer=200)])  # the second draws fresh entropy
    for p, q in zip(straight, trained(lambda: next(made), 2, 4), strict=True):
        np.testing.assert_array_equal(p, q)


def test_what_can_be_gone_through_only_once_is_noticed():
    for source, target in (((pair for pair in Batched()), None), (table().to_reader(), "label")):
        stream = tn.data.stream(source, target)
        assert sum(X.shape[1] for X, _ in stream) == N
        with pytest.raises(
            ValueError, match="gave no rows in epoch 2: it holds none, or can be gone through only once"
        ):
            list(stream)


@pytest.mark.peers
def test_frames_and_loaders_of_other_libraries():
    torch = pytest.importorskip("torch")
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    frame = pandas.DataFrame(ROWS, columns=NAMES).assign(label=LABELS)
    pairs = torch.utils.data.TensorDataset(torch.tensor(ROWS), torch.tensor(LABELS))
    for source, target in [
        (frame, "label"), (polars.from_pandas(frame), "label"),
        (torch.utils.data.DataLoader(pairs, batch_size=64), None),
    ]:  # fmt: skip
        batches = list(tn.data.stream(source, target, batch_size=100))
        np.testing.assert_array_equal(np.concatenate([X for X, _ in batches], axis=1), ROWS.T)
        np.testing.assert_array_equal(np.concatenate([y for _, y in batches]), LABELS)
    with pytest.raises(TypeError, match=r"a LazyFrame has no rows yet; give frame\.collect"):
        tn.data.stream(polars.from_pandas(frame).lazy(), "label")


def test_tables_are_made_of_arrow_tables_readers_and_lazy_frames():
    expected_X, expected_y = tn.data.from_rows(np.column_stack([ROWS, LABELS]), target=3)
    sources = [table(), table().to_reader(), table().combine_chunks().to_batches()[0]]
    if "polars" in sys.modules or importlib.util.find_spec("polars"):
        polars = importlib.import_module("polars")
        sources += [polars.from_arrow(table()), polars.from_arrow(table()).lazy()]
    for source in sources:
        X, y = tn.data.from_rows(source, target="label")
        np.testing.assert_array_equal(X, expected_X)
        np.testing.assert_array_equal(y, expected_y)
    assert len(tn.data.Table(table().to_reader())) == N
