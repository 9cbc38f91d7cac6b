"""Modules: what is found in them, their state, and how they are written."""

import copy
import json
import pickle

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import nn


class Net(nn.Module):
    def __init__(self):
        self.scale = tn.tensor(2.0, requires_grad=True)
        self.branches = [nn.Dense(2, 3, "tanh", rng=0), nn.Dense(2, 3, rng=1)]
        self.heads = {"mean": nn.Dense(3, 1, rng=2), "spread": (nn.Dense(3, 1, bias=False, rng=3),)}
        self.register_buffer("calls", 0.0)
        self.note = "neither tensor nor module"

    def forward(self, x):
        hidden = self.branches[0](x) + self.branches[1](x)
        return self.scale * self.heads["mean"](hidden), self.heads["spread"][0](hidden)


def test_parameters_are_found_in_order_of_assignment_and_in_containers():
    names = ["scale", "branches.0.W", "branches.0.b", "branches.1.W", "branches.1.b"]
    names += ["heads.mean.W", "heads.mean.b", "heads.spread.0.W"]
    assert [name for name, _ in Net().named_parameters()] == names
    assert [p.shape for p in Net().parameters()] == [(), (3, 2), (3, 1), (3, 2), (3, 1), (1, 3), (1, 1), (1, 3)]


def test_modules_are_found_with_their_paths():
    net = Net()
    found = dict(net.named_modules())
    assert list(found) == ["", "branches.0", "branches.1", "heads.mean", "heads.spread.0"]
    assert found[""] is net
    assert list(net.modules()) == list(found.values())


def test_what_is_shared_is_counted_once():
    net = Net()
    net.heads["spread"][0].W = net.heads["mean"].W
    net.again = net.branches
    assert [name for name, _ in net.named_parameters()][-1] == "heads.mean.b"
    assert sum(1 for _ in net.modules()) == 5
    assert set(net.state_dict()) == {name for name, _ in net.named_parameters()} | {"calls"}


def test_a_module_that_holds_its_parent_is_walked_once():
    net = Net()
    net.branches[0].parent = net
    assert sum(1 for _ in net.modules()) == 5


def test_a_frozen_parameter_stays_in_the_state():
    layer = nn.Dense(2, 3)
    layer.W.requires_grad = False
    for twin in (layer, copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert [name for name, _ in twin.named_parameters()] == ["b"]
        assert list(twin.state_dict()) == ["W", "b"]
        assert list(twin.named_buffers()) == []
    layer.W.requires_grad = True
    assert [name for name, _ in layer.named_parameters()] == ["W", "b"]


def kept(layer, X):
    """Whatever a module may keep of its own results: recorded, without history, in containers."""
    layer.recorded = layer(X)
    with tn.no_grad():
        layer.unrecorded = layer(X)
    layer.several = [layer.recorded.detach(), {"X": tn.tensor(X)}]


def test_what_is_kept_as_an_attribute_is_no_state():
    layer = nn.Dense(2, 3)
    kept(layer, np.zeros((2, 1)))
    assert list(layer.state_dict()) == ["W", "b"]
    assert len(list(layer.parameters())) == 2
    layer.load_state_dict(nn.Dense(2, 3).state_dict())


class Counting(nn.Module):
    def __init__(self):
        self.register_buffer("calls", 0.0)
        self.register_buffer("extremes", {"low": np.zeros(2), "high": None})
        self.W = tn.tensor([1.0, 1.0], requires_grad=True)

    def forward(self, x):
        self.calls = self.calls + 1
        return self.W * x


def test_buffers_are_declared_and_stay_so():
    model = Counting()
    model(np.ones(2))
    assert [name for name, _ in model.named_buffers()] == ["calls", "extremes.low"]
    assert model.state_dict()["calls"] == 1
    assert [name for name, _ in model.named_parameters()] == ["W"]
    twin = copy.deepcopy(model)
    twin(np.ones(2))
    assert (twin.state_dict()["calls"], model.state_dict()["calls"]) == (2, 1)
    assert [name for name, _ in nn.BatchNorm(2).named_buffers()] == ["running_mean", "running_var"]


def test_a_buffer_is_made_of_numbers_without_a_gradient(raised):
    model = Counting()
    assert raised(TypeError, setattr, model, "calls", model(np.ones(2)).sum()) == (
        "Counting.calls is a buffer, and the result of sum in its place would be missing from the state: "
        "compute its next value within tn.no_grad(), or take .detach() of it"
    )
    assert "a tensor that requires a gradient in its place" in raised(
        TypeError, model.register_buffer, "calls", tn.tensor(1.0, requires_grad=True)
    )
    assert raised(TypeError, model.register_buffer, 3, 1.0) == (
        "register_buffer: name=3, expected the name of an attribute"
    )
    assert "W is a parameter" in raised(TypeError, model.register_buffer, "W", 1.0)
    assert "W" in dict(model.named_parameters())
    model.calls = model(np.ones(2)).sum().detach()
    assert model.state_dict()["calls"] == 2


def test_state_goes_from_one_model_to_another_bitwise():
    one, other = Net(), Net()
    one.calls.data[...] = 7
    for p in one.parameters():
        p.data += np.random.default_rng(0).normal(size=p.shape)
    other.load_state_dict(one.state_dict())
    for name, value in one.state_dict().items():
        assert np.array_equal(value, other.state_dict()[name]), name


def test_state_dict_holds_copies():
    layer = nn.Dense(2, 3)
    state = layer.state_dict()
    state["W"][...] = 0
    assert layer.W.data.any()


def test_loading_keeps_dtype_and_the_array_itself():
    layer = nn.Dense(2, 3, dtype=np.float32)
    array = layer.W.value
    layer.load_state_dict({"W": np.ones((3, 2)), "b": tn.tensor(np.ones((3, 1)))})
    assert layer.W.value is array
    assert array.dtype == np.float32
    assert layer.b.tolist() == [[1], [1], [1]]


def test_a_state_of_another_model_changes_nothing(raised):
    layer = nn.Dense(2, 3, rng=0)
    before = layer.state_dict()
    text = raised(ValueError, layer.load_state_dict, {"W": np.zeros((3, 2)), "bias": np.zeros((3, 1))})
    assert text == (
        "Dense.load_state_dict: b missing; bias unknown; expected W, b: "
        "make the model as it was when its state was saved"
    )
    wrong = {"W": np.zeros((3, 2)), "b": np.zeros(3)}
    assert raised(tn.ShapeError, layer.load_state_dict, wrong) == (
        "Dense.load_state_dict: b has shape (3, 1), the state's (3,)"
    )
    assert raised(TypeError, layer.load_state_dict, {**wrong, "b": np.zeros((3, 1), complex)}) == (
        "Dense.load_state_dict: b is float64, the state's complex128"
    )
    assert all(np.array_equal(before[k], v) for k, v in layer.state_dict().items())


def test_loading_between_forward_and_backward_is_noticed():
    layer = nn.Dense(2, 3, "tanh")
    x = tn.tensor(np.ones((2, 1)), requires_grad=True)
    y = layer(x).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(tn.MutationError, match="W of shape"):
        y.backward()


def test_train_and_eval_reach_every_part():
    net = Net()
    assert net.eval() is net
    assert not any(module.training for module in net.modules())
    net.train()
    assert all(module.training for module in net.modules())


def test_zero_grad():
    net = Net()
    sum(y.sum() for y in net(np.ones((2, 4)))).backward()
    assert all(p.grad is not None for p in net.parameters())
    net.scale.requires_grad = False
    net.zero_grad()
    assert all(p.grad is None for p in (*net.parameters(), net.scale))


def test_forward_is_asked_for(raised):
    class Empty(nn.Module):
        pass

    text = raised(NotImplementedError, Empty(), 1)
    assert text == "Empty does not define forward(self, ...): what should it compute?"
    assert "Empty cannot be rebuilt from a description" in raised(NotImplementedError, Empty().config)


def test_keyword_arguments_reach_forward():
    class Power(nn.Module):
        def forward(self, x, n=1):
            return x**n

    assert Power()(3, n=2) == 9


def test_repr_shows_the_tree_with_counts():
    assert repr(nn.Dense(2, 3, "tanh")) == "Dense(2, 3, tanh): 9 parameters"
    assert repr(Net()).splitlines() == [
        "Net: 26 parameters",
        "  branches.0: Dense(2, 3, tanh): 9 parameters",
        "  branches.1: Dense(2, 3): 9 parameters",
        "  heads.mean: Dense(3, 1): 4 parameters",
        "  heads.spread.0: Dense(3, 1, bias=False): 3 parameters",
    ]
    nested = nn.Sequential(nn.Dense(1000, 2), nn.Sequential(nn.Dropout(0.25), nn.Residual(nn.Dense(2, 2))))
    assert repr(nested).splitlines() == [
        "Sequential: 2,008 parameters",
        "  layers.0: Dense(1000, 2): 2,002 parameters",
        "  layers.1: Sequential: 6 parameters",
        "    layers.0: Dropout(0.25): 0 parameters",
        "    layers.1: Residual: 6 parameters",
        "      f: Dense(2, 2): 6 parameters",
    ]


def test_deep_copies_and_pickles_are_models_of_their_own():
    model = nn.Sequential(nn.Dense(2, 3, "tanh", rng=0), nn.Dropout(0.5, rng=0), nn.Dense(3, 1, rng=1))
    X = np.random.default_rng(0).normal(size=(2, 4))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin.eval(), model.eval()
        assert twin(X).tolist() == model(X).tolist()
        twin[0].W.data[...] = 0
        assert twin(X).tolist() != model(X).tolist()
        assert twin[0].W.name == "W¹"


def everything():
    return nn.Sequential(
        nn.Flatten(),
        nn.Dense(8, 6, "relu", rng=0, dtype=np.float32),
        nn.BatchNorm(6, momentum=0.2, dtype=np.float32),
        nn.Residual(nn.Dense(6, 6, bias=False, dtype=np.float32), tn.tanh, nn.Dropout(0.1)),
        nn.Residual(nn.Dense(6, 6, init="orthogonal", dtype=np.float32)),
        nn.LayerNorm(6, eps=1e-3, dtype=np.float32),
        nn.Activation("gelu"),
        nn.Dense(6, 2, "softmax", dtype=np.float32),
    )


def test_a_description_goes_through_json_and_rebuilds_the_model():
    model = everything()
    config = json.loads(json.dumps(model.config()))
    twin = nn.build(config)
    assert twin.config() == config
    assert repr(twin) == repr(model)
    twin.load_state_dict(model.state_dict())
    X = np.random.default_rng(0).normal(size=(2, 2, 2, 5))
    assert np.array_equal(twin.eval()(X).data, model.eval()(X).data)
    assert [p.name for p in twin.parameters()] == [p.name for p in model.parameters()]
    assert {p.dtype for p in twin.parameters()} == {np.dtype(np.float32)}


def test_a_description_names_layers_and_operations_only(raised):
    assert raised(ValueError, nn.build, {"type": "os.system"}) == (
        "build: there is no layer of type 'os.system'; expected one of "
        "Activation, BatchNorm, Dense, Dropout, Embedding, FeatureEmbedding, Flatten, LayerNorm, Residual, Sequential, "
        "Predictor"
    )
    text = raised(ValueError, nn.Dense(2, 2, lambda z: z * z).config)
    assert text == (
        "Dense: the activation <lambda> is not an operation of the tables, so a description cannot name it; "
        "add it with tn.op, or take an activation by name"
    )


def test_assignments_to_attributes_are_counted():
    model = nn.Sequential(nn.Dense(2, 2), nn.Dropout(0.5))

    def changed(action):
        before = nn.Module.changes
        action()
        return nn.Module.changes > before

    assert changed(lambda: setattr(model[1], "p", 0.1))
    assert changed(lambda: setattr(model, "note", 1))
    assert changed(lambda: delattr(model, "note"))
    assert changed(model.eval)
    assert not changed(model.eval)
    assert changed(model.train)
    assert not changed(model.train)
    assert not changed(lambda: model(np.ones((2, 3))))
    assert "changes" not in vars(model)


def test_evaluating_is_over_after_the_block():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.5))
    model[0].training = False
    with model.evaluating() as same:
        assert same is model
        assert not any(module.training for module in model.modules())
    with pytest.raises(tn.ShapeError), model.evaluating():
        tn.nn.Dense(2, 2)(np.ones((3, 1)))
    assert [module.training for module in model.modules()] == [True, False, True]


def test_two_tensors_of_one_path_are_refused_by_name():
    """One of them would be lost from the file."""

    class Dotted(nn.Module):
        def __init__(self):
            self.parts = {
                "a.b": tn.tensor([1.0], requires_grad=True),
                "a": {"b": tn.tensor([2.0, 3.0], requires_grad=True)},
            }

    with pytest.raises(ValueError, match="two tensors") as refused:
        Dotted().state_dict()
    assert str(refused.value) == (
        "Dotted: two tensors, of shapes (1,) and (2,), have the path 'parts.a.b': a dict's key with a dot reads like a "
        "dict within it; rename one"
    )
    with pytest.raises(ValueError, match=r"have the path 'parts\.a\.b'"):
        Dotted().load_state_dict({"parts.a.b": [1.0]})


class Tied(nn.Module):
    """A parameter that two attributes hold, one in a tuple within a dict, and a buffer."""

    def __init__(self):
        self.W = tn.tensor(np.full((2, 2), 2.0), requires_grad=True)
        self.register_buffer("ones", [1.0, 1.0])
        self.more = {"again": (self.W, self.ones)}
        self.layer = nn.Dense(2, 1, rng=np.random.default_rng(0))

    def forward(self, x):
        return self.layer(self.W @ (self.more["again"][0] @ x)) + self.more["again"][1].sum()


def test_functional_call():
    model, x = Tied(), np.array([[1.0], [3.0]])
    state, held = model.state_dict(), [vars(part).copy() for part in model.modules()]
    np.testing.assert_array_equal(nn.functional_call(model, state, x).data, model(x).data)
    other = {"W": np.eye(2), "layer.W": np.array([[1.0, 10.0]])}
    assert nn.functional_call(model, other, x).item() == 31.0 + model.layer.b.item() + 2.0
    slope = tn.grad(lambda p: nn.functional_call(model, p, x).sum())(other)["W"]
    fresh = Tied()
    fresh.load_state_dict(state | other)
    fresh(x).sum().backward()
    np.testing.assert_allclose(slope.value, fresh.W.grad)
    several = tn.vmap(lambda W: nn.functional_call(model, {"W": W}, x).sum())(np.ones((3, 2, 2)))
    np.testing.assert_array_equal(several.value, [nn.functional_call(model, {"W": np.ones((2, 2))}, x).item()] * 3)
    with pytest.raises(tn.ShapeError):
        nn.functional_call(model, other, np.ones((5, 5)))
    assert [vars(part) for part in model.modules()] == held


def test_wrong_functional_calls():
    model, x = nn.Dense(2, 1), np.ones((2, 1))
    with pytest.raises(ValueError, match=r"functional_call: Dense has no V; it has W, b"):
        nn.functional_call(model, {"V": 1.0}, x)
    with pytest.raises(tn.ShapeError, match=r"functional_call: W of Dense has shape \(1, 2\), the given \(3,\)"):
        nn.functional_call(model, {"W": np.ones(3)}, x)
    with pytest.raises(TypeError, match=r"of type Dense: expected arrays, .* tn\.nn\.functional_call\(model"):
        tn.grad(lambda m: m(x).sum())(model)
    with pytest.raises(TypeError, match=r"of type generator: expected arrays"):
        tn.grad(lambda p: 0.0)(model.parameters())
    with pytest.raises(TypeError, match=r"vmap: an argument is of type Dense, expected arrays: share a module"):
        tn.vmap(lambda m: m(x))(model)
    with pytest.raises(TypeError, match=r"Dense\.load_state_dict takes numbers, and the history .* would be lost"):
        tn.grad(lambda W: model.load_state_dict({"W": W, "b": [[0.0]]}) or model(x).sum())(np.ones((1, 2)))
    model.load_state_dict(dict(nn.Dense(2, 1).named_parameters()))
