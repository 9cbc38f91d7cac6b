"""How far a training is: a bar, a line an epoch, a line of a notebook; and what TensorBoard gets."""

import re
import struct
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.training import TensorBoard


@pytest.fixture
def start(network, moons):
    """A network, its optimiser and batches, the same each time."""

    def make(batch_size=32):
        model = network()
        return model, tn.optim.SGD(model.parameters(), 0.3), tn.data.batches(*moons, batch_size, rng=1)

    return make


def test_a_line_an_epoch_where_there_is_no_terminal(start, moons, capsys):
    model, optimizer, data = start()
    tn.fit(model, tn.cross_entropy, optimizer, data, 2, validation=moons, metrics="f1")
    out, err = capsys.readouterr()
    assert out == ""
    number = r"[\d.e-]+"
    for epoch, line in enumerate(err.splitlines(), 1):
        pattern = rf"epoch {epoch}/2: loss N, validation_loss N, f1 N, validation_f1 N \(N s\)".replace("N", number)
        assert re.fullmatch(pattern, line)
    assert epoch == 2
    tn.fit(model, tn.cross_entropy, optimizer, data, 1, progress=False)
    assert capsys.readouterr() == ("", "")


def test_a_long_training_has_a_hundred_lines(start, capsys):
    model, optimizer, data = start()
    tn.fit(model, tn.cross_entropy, optimizer, data, 201, callbacks=lambda epoch, history: epoch < 200, batch_size=None)
    said = [line.split("/")[0] for line in capsys.readouterr().err.splitlines()]
    assert said == ["epoch 1", *(f"epoch {i}" for i in range(3, 200, 3)), "epoch 201"][: len(said)]
    assert len(said) == 67


def test_quiet_without_standard_error(start, monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    model, optimizer, data = start()
    assert len(tn.fit(model, tn.cross_entropy, optimizer, data, 2)) == 2


class Terminal:
    """A standard error that says it is a terminal."""

    def __init__(self):
        self.text = ""

    def isatty(self):
        return True

    def write(self, text):
        self.text += text

    def flush(self):
        pass


def test_a_bar_on_a_terminal(start, monkeypatch):
    pytest.importorskip("tqdm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    for progress in (True, False):
        model, optimizer, data = start()
        sys.stderr.text = ""
        tn.fit(model, tn.cross_entropy, optimizer, data, 2, progress=progress)
        assert ("batch" in sys.stderr.text) is progress


def test_no_bar_without_tqdm(start, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(sys, "stderr", Terminal())
    model, optimizer, data = start()
    assert len(tn.fit(model, tn.cross_entropy, optimizer, data, 2)) == 2
    assert [line.split(":")[0] for line in sys.stderr.text.splitlines()] == ["epoch 1/2", "epoch 2/2"]


# --- in a notebook ---------------------------------------------------------------------------------------------------


@pytest.fixture
def shown(monkeypatch):
    """A notebook; what it has shown in the place of the first line."""
    texts = []

    class Handle:
        def update(self, bundle, raw):
            assert raw
            texts.append(bundle["text/plain"])

    def display(bundle, raw, display_id):
        assert raw
        assert display_id
        texts.append(bundle["text/plain"])
        return Handle()

    ipython, module = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython = lambda: SimpleNamespace(kernel=object())
    module.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return texts


def test_a_notebook_without_tqdm_has_a_line_that_is_renewed(start, moons, monkeypatch, shown, capsys):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    times = iter(np.arange(0, 100, 0.15))  # the third look after the last is due
    monkeypatch.setattr(tn.training.progress, "time", SimpleNamespace(monotonic=lambda: next(times)))
    model, optimizer, data = start()
    tn.fit(model, tn.cross_entropy, optimizer, data, 3, validation=moons, metrics="f1")
    number = r"[\d.e-]+"
    last = f"epoch 3/3: loss {number}, validation_loss {number}, f1 {number}, validation_f1 {number}"
    assert shown[0] == "training begins"
    assert re.fullmatch(last, shown[-1])
    assert any(re.fullmatch(rf"epoch \d/3, batch \d of 9: loss {number}", text) for text in shown)
    assert 3 < len(shown) < 13
    assert capsys.readouterr() == ("", "")
    before = len(shown)
    tn.fit(model, tn.cross_entropy, optimizer, [*data], 3, progress=False)
    assert len(shown) == before


def test_a_training_that_ends_early_says_so_in_its_line(start, monkeypatch, shown):
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    monkeypatch.setattr(tn.training.progress, "time", SimpleNamespace(monotonic=lambda: 0.0))
    model, optimizer, data = start()

    class Stream:  # without a length
        def __iter__(self):
            return iter(data)

    tn.fit(model, tn.cross_entropy, optimizer, Stream(), 9, metrics={"m": lambda p, t: 1.0}, monitor="m", patience=2)
    assert shown[-1].startswith("epoch 3/9: loss ")
    assert len(shown) == 2


def test_a_notebook_has_the_bar_of_tqdm(start, shown, capsys):
    pytest.importorskip("tqdm")
    model, optimizer, data = start()
    tn.fit(model, tn.cross_entropy, optimizer, data, 2, metrics="f1")
    assert shown == []
    assert "batch" in capsys.readouterr().err  # its text, as there is no ipywidgets


# --- TensorBoard -----------------------------------------------------------------------------------------------------


def events(folder):
    """What a folder's files hold: (step, name, number or histogram); each record is length, sum, content, sum."""
    Event = pytest.importorskip("tensorboardX").proto.event_pb2.Event
    found = []
    for path in sorted(folder.iterdir()):
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            at += length + 16
            for value in event.summary.value:
                found.append((event.step, value.tag, value.histo if value.HasField("histo") else value.simple_value))
    return found


def test_tensorboard_gets_the_history(start, moons, tmp_path):
    pytest.importorskip("tensorboardX")
    model, optimizer, data = start()
    history = tn.fit(
        model, tn.cross_entropy, optimizer, data, 3, validation=moons, metrics="f1", progress=False,
        callbacks=[TensorBoard(tmp_path, model)],
    )  # fmt: skip
    expected = {
        "loss/training": history.loss, "loss/validation": history.validation_loss, "f1/training": history["f1"],
        "f1/validation": history["validation_f1"], "learning_rate": history.learning_rate, "seconds": history.seconds,
    }  # fmt: skip
    for group, lists in (("gradient_norm", history.gradient_norms), ("update_ratio", history.update_ratios)):
        expected |= {f"{group}/{name}": values for name, values in lists.items()}
    found = events(tmp_path)
    names = {tag for _, tag, _ in found}
    parameters = {tag for _, tag, value in found if hasattr(value, "bucket")}
    assert len(parameters) == 4
    assert len(names) == len(expected) + 4
    numbers = {(step, tag): value for step, tag, value in found}
    for name, values in expected.items():
        cleaned = next(tag for tag in names if tag == name or re.sub(r"[^-/\w.]", "_", name) == tag)
        assert [numbers[epoch, cleaned] for epoch in (1, 2, 3)] == pytest.approx(values, rel=1e-6)
    for parameter in parameters:
        size = {p.size for p in model.parameters()}
        assert numbers[3, parameter].num in size


def test_tensorboard_without_an_epoch_writes_nothing(start, tmp_path):
    pytest.importorskip("tensorboardX")
    model, optimizer, data = start()
    tn.fit(model, tn.cross_entropy, optimizer, data, 0, callbacks=[TensorBoard(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_tensorboard_that_is_not_there(monkeypatch, raised, tmp_path):
    assert raised(TypeError, TensorBoard, tmp_path, 3) == "TensorBoard: model is of type int, expected a tn.nn.Module"
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert raised(ImportError, TensorBoard, tmp_path) == (
        "TensorBoard needs tensorboardX: pip install 'tinygrad_nn[tensorboard]'"
    )
