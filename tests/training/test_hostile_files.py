"""Files that were damaged or forged: refused by our own error, in bounded memory, with nothing changed; or unharmed."""

import contextlib
import io
import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hostile_files import damaged, digest, forged, opened, sealed

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.allowance import allowance
from tinygrad_nn.checkpoint import CheckpointError, generator_of

SEED = int(os.environ.get("TESTS_SEED", "0"))
each_format = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
every_time_and_at_night = pytest.mark.parametrize(
    "part", [0.02, pytest.param(1, marks=pytest.mark.nightly)], ids=["some", "all"]
)


class Program:
    """A training that is saved and resumed: two layers, dropout, momentum, a schedule, batches in random order."""

    def __init__(self):
        rng = np.random.default_rng(7)
        layers = tn.nn.Dense(2, 3, "tanh", rng=rng), tn.nn.Dropout(0.2, rng=3), tn.nn.Dense(3, 2, rng=rng)
        self.model = tn.nn.Sequential(*layers, tn.nn.BatchNorm(2))
        self.optimizer = tn.optim.Adam(self.model.parameters(), lr=0.01)
        self.schedule = tn.optim.ReduceLROnPlateau(self.optimizer)
        self.data = tn.data.batches(*tn.data.make_moons(16, rng=0), 8, rng=1)

    def run(self, path, epochs):
        return tn.fit(
            self.model, tn.cross_entropy, self.optimizer, self.data, epochs, schedule=self.schedule, patience=9,
            checkpoint=path, resume=True,
        )  # fmt: skip

    def state(self):
        generators = [self.data.rng.bit_generator.state, self.model[1].rng.bit_generator.state]
        flags = [(tensor.requires_grad, tensor.value.tobytes()) for _, tensor in self.model.named_tensors()]
        modes = [module.training for module in self.model.modules()]
        return repr((generators, flags, modes, self.optimizer.state_dict(), self.schedule.state_dict()))


@pytest.fixture
def written(tmp_path):
    """The bytes of a checkpoint by `fit`, in a format, and where to put mutants of it."""

    def make(suffix):
        path = tmp_path / f"run{suffix}"
        Program().run(path, 2)
        return path, path.read_bytes()

    return make


@contextlib.contextmanager
def bounded_memory(data):
    """As much as a hundred times the file, and what a model of ours needs."""
    tracemalloc.start(1)
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * len(data) + 500_000


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # which takes longer than all else


@each_format
@every_time_and_at_night
def test_what_was_damaged_is_refused_or_the_same(tmp_path, suffix, part):
    model = tn.nn.Sequential(tn.nn.Dense(1, 2, rng=0), tn.nn.Dropout(0.5, rng=1))
    optimizer = tn.optim.SGD(model.parameters(), momentum=0.5)
    path = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer, {"n": [1, 2.5], "a": np.arange(3)})
    whole = path.read_bytes()
    rng, expected, refused = np.random.default_rng(SEED), digest(checkpoint.read(path)), 0
    n = int(10_000 * part)
    for _ in range(n):
        while (mutant := damaged(whole, rng)) == whole:
            pass
        path.write_bytes(mutant)
        with bounded_memory(mutant):
            try:
                found = checkpoint.read(path)
            except CheckpointError:
                refused += 1
                continue
        assert digest(found) == expected
    print(f"{suffix}: {n:,} damaged files, {refused:,} refused, {n - refused:,} the same")
    assert refused > 0.7 * n


@each_format
@every_time_and_at_night
def test_what_was_forged_is_refused_or_a_checkpoint(written, suffix, part):
    """Its checksum is right.  A model that can be rebuilt can be used, and a program that cannot go on is as it was."""
    path, whole = written(suffix)
    rng, outcomes = np.random.default_rng(SEED + 1), {"refused": 0, "resumed": 0, "diverged": 0}
    n, before = int(2_000 * part), Program().state()
    for _ in range(n):
        mutant = forged(whole, suffix, rng)
        path.write_bytes(mutant)
        with bounded_memory(mutant), contextlib.suppress(CheckpointError), np.errstate(all="ignore"):
            model, _ = tn.nn.load(path)
            model(np.ones((2, 4)))
        program = Program()
        try:
            program.run(path, 3)
            outcomes["resumed"] += 1
        except CheckpointError:
            outcomes["refused"] += 1
            assert program.state() == before
        except tn.NonFiniteError:
            outcomes["diverged"] += 1
    print(f"{suffix}: {n:,} forged files: {outcomes}")
    assert outcomes["refused"] > 0.5 * n
    assert outcomes["resumed"] > 0


# --- one fault, made by hand ------------------------------------------------------------------------------------------


@each_format
@pytest.mark.parametrize(("old", "new"), [("float64", "int64"), ("float64", "uint64"), ("int64", "float64")])
def test_an_array_of_another_dtype_is_refused(tmp_path, raised, suffix, old, new):
    """One byte of the header makes integers of an optimiser's floats, or the reverse; the data stays as it is."""
    layer = tn.nn.Dense(1, 1, rng=0)
    optimizer = tn.optim.OnlineLBFGS(layer.parameters(), history_size=1)
    path = checkpoint.save(tmp_path / f"m{suffix}", layer, optimizer)
    codes = {"float64": (b'"F64"', b"'<f8'"), "int64": (b'"I64"', b"'<i8'"), "uint64": (b'"U64"', b"'<u8'")}
    before, after = (codes[name][suffix == ".npz"] for name in (old, new))
    whole = path.read_bytes()
    assert before in whole
    if suffix == ".npz":
        whole = rezipped(whole, lambda name, data: data.replace(before, after))
    path.write_bytes(whole.replace(before, after))
    text = raised(CheckpointError, checkpoint.restore, path, layer, optimizer)
    assert f" is {new} [" in text
    assert f"and {old} [" in text


def rezipped(whole, change, compression=zipfile.ZIP_STORED):
    """The zip file with members changed, and sums and sizes that are right."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as old, zipfile.ZipFile(file, "w", compression) as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return file.getvalue()


def claims_too_much(data, shape=(10**11,)):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


BOMBS = {
    "compressed": lambda whole: rezipped(whole, lambda name, data: bytes(10**8), zipfile.ZIP_DEFLATED),
    "compressed well": lambda whole: rezipped(whole, lambda name, data: data, zipfile.ZIP_BZIP2),
    "a shape": lambda whole: rezipped(whole, lambda name, data: claims_too_much(data)),
    "a negative shape": lambda whole: rezipped(whole, lambda name, data: claims_too_much(data, (-1,))),
    "a member twice": lambda whole: whole.replace(b"architecture", b"architecturf") + whole,
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_zip_bombs_are_refused_by_their_sizes(tmp_path, bomb):
    path = checkpoint.save(tmp_path / "m.npz", tn.nn.Dense(1, 1, rng=0))
    data = BOMBS[bomb](path.read_bytes())
    path.write_bytes(data)
    with bounded_memory(data[:10_000]):
        if bomb == "a member twice":  # a zip file may follow anything
            checkpoint.read(path)
        else:
            with pytest.raises(CheckpointError, match="not a whole checkpoint"):
                checkpoint.read(path)


def test_members_that_lie_over_one_another_are_refused(tmp_path, raised):
    """A thousand names for the same bytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.npy", bytes(50_000))
        for i in range(1000):
            twin = zipfile.ZipInfo(f"{i}.npy")
            twin.header_offset, twin.file_size, twin.compress_size, twin.CRC = 0, 50_000, 50_000, 0
            archive.filelist.append(twin)
    (tmp_path / "m.npz").write_bytes(file.getvalue())
    text = raised(CheckpointError, checkpoint.read, tmp_path / "m.npz")
    assert "1001 members that are larger than the file" in text


HEADERS = {
    "a header longer than the file": (struct.pack("<Q", 10**15) + b"{}", "a header of 1,000,000,000,000,000 bytes"),
    "an array beyond the end": ({"a": {"dtype": "U8", "shape": [10**11], "data_offsets": [0, 10**11]}}, "lies at"),
    "a shape beyond its bytes": ({"a": {"dtype": "U8", "shape": [10**11], "data_offsets": [0, 8]}}, "does not fit"),
    "arrays over one another": (
        {name: {"dtype": "U8", "shape": [8], "data_offsets": [0, 8]} for name in "ab"},
        "b lies at 0:8, expected from 8",
    ),
    "a hole": ({"a": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}}, "a lies at 4:8, expected from 0"),
    "bytes that belong to nothing": ({}, "8 bytes too many"),
    "booleans of 7": ({"a": {"dtype": "BOOL", "shape": [8], "data_offsets": [0, 8]}}, "bytes other than 0 and 1"),
    "nesting": (b"[" * 100_000, "recursion"),
}  # fmt: skip


@pytest.mark.parametrize("name", HEADERS)
def test_headers_are_compared_with_the_bytes_that_are_there(tmp_path, raised, name):
    header, reason = HEADERS[name]
    if isinstance(header, dict):
        header = json.dumps(header).encode()
    if name != "a header longer than the file":
        header = struct.pack("<Q", len(header)) + header + b"\7" * 8
    path = tmp_path / "m.safetensors"
    path.write_bytes(header)
    with bounded_memory(header):
        text = raised(CheckpointError, checkpoint.read, path)
    assert text.startswith(f"{path} is not a whole checkpoint (")
    assert reason in text


def change_of(*path, to):
    """Write something else in a place of the content."""

    def change(content):
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = to

    return change


LAYER, GROUP = ("architecture", "layers", 0), ("optimizer", "state", "param_groups", 0)
FORGERIES = {
    "a layer of gigabytes": (change_of(*LAYER, "out_features", to=10**9), "(1000000000, 2) is more than the numbers"),
    "many layers": (
        lambda content: content["architecture"]["layers"].extend([content["architecture"]["layers"][0]] * 300),
        "an array of shape (3, 2) is more than the numbers that are there",
    ),
    "a large normalisation": (
        change_of(*LAYER, to={"type": "BatchNorm", "features": 10**9}), "(1000000000, 1) is more than the numbers",
    ),
    "a large shape": (
        change_of(*LAYER, to={"type": "LayerNorm", "features": [10**5, 10**4]}), "(100000, 10000, 1) is more than",
    ),
    "a long memory": (change_of(*GROUP, "history_size", to=10**9), "is more than the numbers that are there"),
    "half a memory": (change_of(*GROUP, "history_size", to=1.5), "history_size=1.5, expected an int of at least 1"),
    "a rate in letters": (change_of(*GROUP, "lr", to="abc"), "OnlineLBFGS: lr='abc', expected a number"),
    "a rate that is not a number": (change_of(*GROUP, "lr", to=float("nan")), "lr=nan, expected a number"),
    "a damping in a list": (change_of(*GROUP, "damping", to=[1]), "damping=(1,), expected a number"),
    "a tau in letters": (change_of(*GROUP, "tau", to="abc"), "tau='abc', expected a number"),
    "an unknown setting": (change_of(*GROUP, "exec", to=1), "a group knows no setting 'exec'"),
    "a name that is no op": (change_of(*LAYER, "activation", to="__import__"), "there is no activation '__import__'"),
    "a layer that is none": (change_of(*LAYER, "type", to="Module"), "there is no layer of type 'Module'"),
    "a part missing": (lambda content: content.pop("modes"), "not a whole checkpoint ('modes')"),
    "a mode in letters": (change_of("modes", "", to="abc"), "its part 'modes' is not what it should be"),
    "training what is not there": (change_of("trained", to=["X"]), "not a whole checkpoint ('X')"),
    "an array in the architecture": (
        lambda content: content.update(architecture=content["extra"], extra=None),
        "its part 'architecture' is not what it should be",
    ),
}  # fmt: skip


@each_format
@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_are_refused_by_what_is_wrong(tmp_path, raised, suffix, name):
    change, reason = FORGERIES[name]
    model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh", rng=0), tn.nn.Dropout(0.5, rng=0), tn.nn.Dense(3, 1, rng=0))
    optimizer = tn.optim.OnlineLBFGS(model.parameters(), history_size=2)
    path = checkpoint.save(tmp_path / f"m{suffix}", model, optimizer, {"a": np.zeros(3)})
    content, arrays = opened(path.read_bytes(), suffix)
    change(content)
    data = sealed(content, arrays, suffix)
    path.write_bytes(data)
    with bounded_memory(data):
        assert reason in raised(CheckpointError, tn.nn.load, path)
    model[0].W.data += 1
    before = repr((model.state_dict(), optimizer.state_dict()))
    with contextlib.suppress(CheckpointError):  # a memory is as long as the optimiser that is there has it
        checkpoint.restore(path, model, optimizer)
        assert name in ("a long memory", "half a memory")
        return
    assert repr((model.state_dict(), optimizer.state_dict())) == before


def test_every_layer_says_how_many_numbers_it_makes():
    """Otherwise a few bytes could make it large."""
    layers = [tn.nn.Dense(2, 3), tn.nn.Dense(2, 3, bias=False), tn.nn.BatchNorm(3), tn.nn.BatchNorm(3, affine=False),
              tn.nn.LayerNorm((2, 3)), tn.nn.Dropout(0.5), tn.nn.Activation("relu"), tn.nn.Flatten()]  # fmt: skip
    table = {"x": [1.0, 2.0], "y": ["a", "b"]}
    preprocessor = tn.data.Preprocessor(target="y").fit(table)
    layers += [
        tn.nn.Embedding(3, 2),
        tn.nn.FeatureEmbedding(2, {1: 3}),
        tn.nn.Predictor(tn.nn.Dense(1, 2), preprocessor),
    ]
    layers += [tn.nn.Residual(tn.nn.Dense(3, 3)), tn.nn.Sequential(tn.nn.Dense(2, 2), tn.nn.BatchNorm(2))]
    assert {type(layer).__name__ for layer in layers} == set(tn.nn.build.__globals__["_LAYERS"])
    for layer in layers:
        state = list(layer.state_dict().values())
        with allowance(state):
            tn.nn.build(layer.config())
        if state:
            with allowance([array.ravel()[1:] for array in state]), pytest.raises(ValueError, match="is more than the"):
                tn.nn.build(layer.config())


def test_a_large_number_alone_makes_nothing_large():
    config = tn.nn.FeatureEmbedding(2, {1: 3}).config() | {"in_features": 10**15}
    with bounded_memory(b""):
        assert tn.nn.build(config).out_features == 10**15 - 1 + 2


# --- random generators ------------------------------------------------------------------------------------------------

KINDS = ["PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64"]


@pytest.mark.parametrize("kind", KINDS)
def test_states_of_generators_come_back(kind):
    rng = np.random.Generator(getattr(np.random, kind)(5))
    rng.integers(0, 9, 7, dtype=np.int32)
    copy = generator_of(rng.bit_generator.state)
    assert copy.random(9).tolist() == rng.random(9).tolist()


WRONG_STATES = [
    ("MT19937", ("state", "pos"), 10**9, "has pos=1000000000, expected an int from 0 to 624"),
    ("MT19937", ("state", "pos"), -5, "has pos=-5, expected an int from 0 to 624"),
    ("MT19937", ("state", "key"), np.zeros(624, np.uint32), "has numbers that it would repeat for ever"),
    ("MT19937", ("state", "key"), np.zeros(9, np.uint32), "has key that is not uint32 of shape (624,)"),
    ("MT19937", ("state", "key"), list(range(624)), "has key that is not uint32 of shape (624,)"),
    ("Philox", ("buffer_pos",), 10**9, "has buffer_pos=1000000000, expected an int from 0 to 4"),
    ("Philox", ("buffer",), np.zeros(3, np.uint64), "has buffer that is not uint64 of shape (4,)"),
    ("PCG64", ("state", "inc"), 2, "has numbers that it would repeat for ever"),
    ("PCG64", ("state", "state"), 2**128, "has state=340282366920938463463374607431768211456, expected an int from 0"),
    ("PCG64", ("has_uint32",), 2, "has has_uint32=2, expected an int from 0 to 1"),
    ("PCG64", ("uinteger",), "1", "has uinteger='1', expected an int from 0 to 4294967295"),
    ("PCG64", ("state",), {"state": 1}, "has other parts than state, inc"),
    ("SFC64", ("state", "state"), np.zeros(4), "has state that is not uint64 of shape (4,)"),
]


@pytest.mark.parametrize(("kind", "place", "value", "reason"), WRONG_STATES)
def test_a_state_that_no_generator_is_in_is_refused(tmp_path, raised, kind, place, value, reason):
    """NumPy takes most of them; some end the process at the first draw, some let it draw for ever."""
    rng = np.random.Generator(getattr(np.random, kind)(5))
    state = rng.bit_generator.state
    change_of(*place, to=value)(state)
    assert reason in raised(ValueError, generator_of, state)
    model = tn.nn.Dropout(0.5, rng=rng)
    path = checkpoint.save(tmp_path / "m.npz", model)
    content, arrays = opened(path.read_bytes(), ".npz")
    if isinstance(value, np.ndarray):
        content["generators"][0]["state"] = checkpoint.content.split(state, "forged", forged_arrays := {})
        arrays = forged_arrays
    else:
        change_of("generators", 0, "state", *place, to=value)(content)
        arrays = {name: array for name, array in arrays.items() if name in json.dumps(content)}
    path.write_bytes(sealed(content, arrays, ".npz"))
    before = repr(rng.bit_generator.state)
    for load in (tn.nn.load, model.load):
        assert reason in raised(CheckpointError, load, path)
    assert repr(rng.bit_generator.state) == before


@pytest.mark.parametrize("kind", ["RandomState", "Generator", "_pickle", None, ["PCG64"]])
def test_other_names_are_not_looked_up(raised, kind):
    assert f"there is no random generator {kind!r}; expected one of PCG64" in raised(
        ValueError, generator_of, {"bit_generator": kind, "state": {}}
    )
