"""One entry, and no other edit: all that an operation gets from `tn.op`, and what a wrong entry is told."""

import functools
import importlib.util
import inspect
import re
from pathlib import Path

import numpy as np
import pytest
import test_ops as checks

import tinygrad_nn as tn
from tinygrad_nn import consistency, symbols
from tinygrad_nn.consistency import FIELDS, KINDS
from tinygrad_nn.operation import BY_FUNCTION, BY_NAME, write
from tinygrad_nn.samples import samples_of

GENERATE = Path(__file__).parent.parent / "docs" / "generate.py"


@pytest.fixture
def tables():
    """What a test adds is taken out again."""
    before = dict(BY_NAME), dict(BY_FUNCTION)
    yield
    for table, old in zip((BY_NAME, BY_FUNCTION), before, strict=True):
        table.clear()
        table.update(old)


@pytest.fixture
def entry(tables):
    """One unary operation, added by one entry."""
    BY_FUNCTION.pop(np.deg2rad)  # as if it were in no table
    yield tn.op(np.deg2rad, "rad({x})", lambda g, y, x: g * (np.pi / 180), summary="Degrees to radians")
    del tn.Tensor.deg2rad


def test_one_entry_is_function_method_numpy_call_checked_and_labelled(entry):
    x = tn.tensor([90.0, 180.0], requires_grad=True)
    for y in (tn.deg2rad(x), x.deg2rad(), np.deg2rad(x), entry(x)):
        assert y.op is entry
        np.testing.assert_array_equal(y.value, np.deg2rad(x.value))
    assert isinstance(tn.deg2rad(np.array([90.0])), np.ndarray)
    assert "deg2rad" in dir(tn)
    assert "deg2rad" in dir(x)
    assert tn.gradcheck(np.deg2rad, np.array([1.0, 2.0]), order=2)
    checks.test_gradients_of_first_and_second_order(entry, np.float32, 5e-3)
    checks.test_forward_mode_agrees_with_reverse_mode(entry)
    checks.test_one_rule_text_serves_arrays_and_tensors(entry)
    assert write(entry, {"x": "α"}) == "rad(α)"
    assert str(symbols.derivative(entry, 0, ["x"])) == "0.0175g"
    assert inspect.getdoc(entry).startswith("Degrees to radians: y = rad(x)")
    with pytest.raises(TypeError, match=r"deg2rad does not take out="):
        tn.deg2rad(x, out=np.empty(2))


# --- everywhere else, too ---------------------------------------------------------------------------------------------


@pytest.fixture
def blend(tables):
    """Two arguments and a parameter: a + t(b − a)."""
    yield tn.op(
        lambda a, b, t=0.5: a + t * (b - a), "{a} ▹ {b}",
        lambda g, y, a, b, t=0.5: g * (1 - t), lambda g, y, a, b, t=0.5: g * t,
        name="blend", kind="elementwise", precedence=1, domain=((0, 1), (2, 3)), variants=({"t": 0.25}, {"t": 2.0}),
        summary="From a to b", edge_cases="none.", example="tn.blend(np.zeros(2), np.ones(2), 0.25)",
    )  # fmt: skip
    del tn.Tensor.blend


def named(value, name):
    return tn.tensor(value, requires_grad=True, name=name)


def test_its_samples_come_from_its_domain_with_its_parameters(blend):
    samples = samples_of(blend)
    assert [params for _, params in samples] == [{"t": 0.25}, {"t": 2.0}]
    assert all((a > 0).all() and (a < 1).all() and (b > 2).all() and (b < 3).all() for (a, b), _ in samples)
    for check in (
        checks.test_arrays_in_arrays_out_equal_to_the_value_on_tensors,
        checks.test_forward_mode_agrees_with_reverse_mode,
        checks.test_hessian_is_symmetric_and_the_same_forward_over_reverse, checks.test_rules_record_all_they_do,
        checks.test_out_and_unknown_keywords_are_refused_by_name, checks.test_function_method_and_numpy_call_are_one,
    ):  # fmt: skip
        arguments = inspect.signature(check).parameters
        check(blend, pytest.MonkeyPatch()) if "monkeypatch" in arguments else check(blend)


def test_it_is_documented(blend):
    assert inspect.getdoc(blend).splitlines() == [
        "From a to b: y = a ▹ b.", "",
        "Gradient with respect to a, from g = ∂L/∂y: −g", "Gradient with respect to b, from g = ∂L/∂y: 2g",
        "Edge cases: none.", "",
        ">>> import numpy as np, tinygrad_nn as tn", ">>> tn.blend(np.zeros(2), np.ones(2), 0.25)",
        "array([0.25, 0.25])",
    ]  # fmt: skip


def test_it_has_a_row_in_the_page_of_operations(blend):
    spec = importlib.util.spec_from_file_location("generate_operations", GENERATE)
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    page = generate.operations({blend.__module__: "Ours"})
    assert "## Ours" in page
    assert "| `blend(a, b, t=0.5)` | `a ▹ b` | a: `−g`<br>b: `2g` | elementwise | none. |" in page
    assert ">>> tn.blend(np.zeros(2), np.ones(2), 0.25)\narray([0.25, 0.25])" in page


def test_it_is_drawn_and_explained(blend):
    u, v = named(1.0, "u"), named(3.0, "v")
    z = tn.square(u.blend(v, t=0.25)).named("z")
    text = tn.draw(z, wrt=v).text()
    assert "= u ▹ v" in text
    assert "v → v₁ → z" in text
    assert "✓ equals the gradient" in text
    assert [str(tn.chain.local_derivative(edge)) for edge in tn.paths(z, v).edges] == ["0.25", "2·(u ▹ v) = 3"]


def test_errors_name_its_operands(blend):
    with pytest.raises(tn.ShapeError) as refused:
        blend(named(np.ones((2, 3)), "first"), np.ones((3, 2)))
    assert str(refused.value) == (
        "blend: first has shape (2, 3), b has shape (3, 2): they differ along axis -1 (3 against 2) and neither is 1; "
        "b.T fits"
    )


def test_it_is_compiled(blend):
    u, v = named([1.0, 2.0], "u"), np.array([3.0, 5.0])

    def step(v):
        u.zero_grad()
        loss = (u.blend(v, 0.25) ** 2).sum()
        loss.backward()
        return loss

    eager, gradient = step(v).item(), u.grad.copy()
    compiled = tn.compile(step)
    for _ in range(3):
        assert compiled(v).item() == eager
        np.testing.assert_array_equal(u.grad, gradient)


def test_an_activation_chooses_the_initialiser_of_its_layer(tables):
    bent = tn.op(
        lambda x: np.maximum(x, 0.5 * x), "bent({x})", lambda g, y, x: np.where(x > 0, g, 0.5 * g), name="bent",
        kind="elementwise", initializer="zeros", method=False,
    )  # fmt: skip
    layer = tn.nn.Dense(2, 3, "bent")
    assert layer.activation is bent
    assert not layer.W.data.any()


def test_a_loss_says_how_examples_are_weighted_and_what_makes_probabilities(tables):
    sklearn = pytest.importorskip("sklearn", reason="extra `sklearn` is not installed")
    entry = BY_NAME["cross_entropy"]
    tn.op(
        entry.forward, "ours({logits}, {target})", *entry.vjps, name="ours", kind="reduction", method=False,
        probabilities=BY_NAME["softmax"], weighted=lambda prediction, target, w: (prediction, target * w),
    )  # fmt: skip
    assert sklearn
    X, y, weight = np.random.default_rng(0).normal(size=(20, 2)), np.arange(20) % 2, np.arange(20.0)
    found = [
        tn.sklearn.MLPClassifier((4,), loss=loss, max_iter=3, tol=np.inf, n_iter_no_change=1, random_state=0)
        .fit(X, y, weight)
        .predict_proba(X)
        for loss in ("ours", "cross_entropy")
    ]
    np.testing.assert_array_equal(*found)


def test_what_it_says_of_its_jacobian_is_enough_for_the_paths_of_elements(tables, monkeypatch):
    swap = tn.op(lambda x: x[::-1].copy(), "swap({x})", lambda g, y, x: g[::-1], name="swap", kind="linear",
                 entries="ones", method=False)  # fmt: skip
    product = tn.op(
        lambda a, b: a @ b, "{a}·{b}", lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g, name="product",
        kind="multilinear", entries="factors", matrix_product=True, method=False,
    )  # fmt: skip
    monkeypatch.setattr("tinygrad_nn.chain.elements.MAX_ENTRIES", 0)  # no Jacobian may be written out
    x = named([[1.0], [2.0], [0.0]], "x")
    p = tn.paths(np.sum(product(np.array([[1.0, 5.0, 7.0], [0.0, 2.0, 3.0]]), swap(x))), x, at=(1, 0))
    assert (p.count, p.live_count, p.gradient) == (2, 2, 7.0)


def test_a_matrix_product_is_a_layer_and_its_errors_speak_of_rows_and_columns(tables):
    product = tn.op(
        lambda a, b: a @ b, "{a}·{b}", lambda g, y, a, b: g @ b.T, lambda g, y, a, b: a.T @ g, name="product",
        kind="multilinear", matrix_product=True, method=False,
    )  # fmt: skip
    W, X = named(np.ones((2, 3)), "W"), np.ones((3, 4))
    assert "layer 1" in tn.draw(tn.tanh(product(W, X)).sum(), detail="layers").text()
    with pytest.raises(
        tn.ShapeError, match=r"product: W has shape \(2, 3\), b .* the 3 columns of W must equal the 4 rows"
    ):
        product(W, np.ones((4, 3)))


# --- taken out again, and refused -------------------------------------------------------------------------------------


def test_the_added_operation_is_gone_again():
    assert not hasattr(tn, "deg2rad")
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'deg2rad'"):
        tn.tensor(1.0).deg2rad()
    with pytest.raises(TypeError, match=r"np\.spacing is not recorded on tensors"):
        np.spacing(tn.tensor(1.0))


def test_a_wrong_entry_is_refused():
    with pytest.raises(ValueError, match="'tanh' is in the tables already: give yours another name= and forward"):
        tn.op(lambda x: x, "{x}", lambda g, y, x: g, name="tanh")
    with pytest.raises(ValueError, match=r"f has 2 array arguments \(a, b\) and 1 derivative rules"):
        tn.op(lambda a, b: a, "f", lambda g, y, a, b: g, name="f")
    with pytest.raises(ValueError, match=r"f: kind is 'foo'; expected one of 'elementwise', 'linear', .* with a jvp"):
        tn.op(lambda x: x, "f", lambda g, y, x: g, name="f", kind="foo")
    with pytest.raises(ValueError, match=r"f: entries is 'twos'; expected 'ones', 'factors', or nothing"):
        tn.op(lambda x: x, "f", lambda g, y, x: g, name="f", entries="twos")
    with pytest.raises(ValueError, match=r"f: the formula '\{x\} \+ \{z\}' names 'z', .* none of .* \(x, t\)"):
        tn.op(lambda x, t=1.0: x, "{x} + {z}", lambda g, y, x, t=1.0: g, name="f")
    with pytest.raises(
        TypeError, match=r"f: an operation has no field 'colour'; it has activation, .*, kind, .*weighted"
    ):
        tn.op(lambda x: x, "{x}", lambda g, y, x: g, name="f", colour="red")
    with pytest.raises(ValueError, match=r"_f: a private operation says which public one is made of it"):
        tn.op(lambda x: x, "{x}", lambda g, y, x: g, name="_f")
    assert not {"f", "_f"} & BY_NAME.keys()


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("linear", r"forward mode gives 0\.536.*, reverse mode 8\.80.*check the kind, or the jvp, .*: f \(linear\)"),
        ("reduction", r"forward mode gives 20\.2"),
        ("multilinear", r"forward mode gives"),
    ],
)
def test_a_wrong_kind_is_found_by_gradcheck(tables, kind, said):
    wrong = tn.op(lambda x: x * x * x, "{x}³", lambda g, y, x: g * (3 * x * x), name="f", kind=kind, method=False)
    with pytest.raises(tn.GradientCheckError, match=said):
        tn.gradcheck(wrong, np.array([1.0, -2.0]))


def test_a_kind_that_does_not_even_compute_is_found_by_gradcheck(tables):
    wrong = tn.op(
        lambda x: np.sum(x), "Σ {x}", lambda g, y, x: np.broadcast_to(g, x.shape), name="f", kind="elementwise",
        method=False,
    )  # fmt: skip
    with pytest.raises(tn.GradientCheckError, match=r"forward mode fails \("):
        tn.gradcheck(wrong, np.array([1.0, -2.0]))


@pytest.mark.parametrize(
    ("forward", "rule", "error", "said"),
    [
        (lambda x: None, lambda g, y, x: g, TypeError, r"function of f returned None: expected an array of real"),
        (lambda x: "text", lambda g, y, x: g, TypeError, r"function of f returned 'text': expected an array"),
        (lambda x: 2 * x, lambda g, y, x: None, tn.ShapeError, r"rule of f for x returned None, which is no array"),
        (lambda x: 2 * x, lambda g, y, x: np.ones(7), tn.ShapeError, r"rule .* returned shape \(7,\); .* shape \(2,\)"),
        (
            lambda x: 2 * x,
            lambda g, y, x: g * 1j,
            tn.ShapeError,
            r"rule .* returned dtype complex128; expected",
        ),
    ],
)
def test_what_a_wrong_entry_returns_is_named(tables, forward, rule, error, said):
    wrong = tn.op(forward, "f({x})", rule, name="f", kind="elementwise", method=False)
    u = tn.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(error, match=said):
        wrong(u).sum().backward()


def test_a_forward_function_that_writes_into_its_argument(tables):
    careless = tn.op(
        lambda x: np.add(x, 1, out=x) * 1.0, "f({x})", lambda g, y, x: g, name="f", kind="elementwise", method=False
    )
    with pytest.raises(tn.GradientCheckError, match=r"f writes into its argument 0 of shape \(2,\).*compute on a copy"):
        tn.gradcheck(careless, np.array([1.0, 2.0]))


def test_a_forward_function_that_answers_with_a_number(tables):
    total = tn.op(lambda x: float(np.sum(x)), "f({x})", lambda g, y, x: np.full(x.shape, g), name="f", method=False)
    u = tn.tensor([1.0, 2.0], requires_grad=True)
    (total(u) * 3).backward()
    np.testing.assert_array_equal(u.grad, [3.0, 3.0])


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            lambda: tn.op(lambda x, k=2: x**k, "c({x})", lambda g, y, x, k=3: g * k * x ** (k - 1), name="c"),
            "c: the forward function has k=2, and the operation k=3, as its first rule says: forward function and",
        ),
        (
            lambda: tn.op(lambda x, k=2: x**k, "c({x})", lambda g, y, x: g, name="c"),
            "the forward function has k=2, and the operation no default for k",
        ),
        (
            lambda: tn.op(lambda x, k: x**k, "c({x})", lambda g, y, x, k=2: g, name="c"),
            "the forward function has no default for k, and the operation k=2",
        ),
        (
            lambda: tn.op(
                lambda a, b, k=2: a, "c({a})", lambda g, y, a, b, k=2: g, lambda g, y, a, b, k=1: g, name="c"
            ),
            "c: rule 2 has k=1, and the operation k=2",
        ),
        (
            lambda: tn.op(lambda a, b: a, "c({a})", lambda g, y, a, b: g, lambda g, y, a: g, name="c"),
            "c: rule 2 takes the arrays (a), the first one (a, b): every rule takes (g, y, *arrays, **params)",
        ),
        (
            lambda: tn.op(lambda x: x, "c({x})", lambda g, x: g, name="c"),
            "c: the rule takes (g, x); a rule takes (g, y, *arrays, **params): the gradient g = ∂L/∂y, the output y",
        ),
        (
            lambda: tn.op(lambda x: x, "c({x})", lambda g, y, x: g),
            "tn.op: '<lambda>' is no name for a function: give one, as in name='cube'",
        ),
    ],
)
def test_an_entry_that_contradicts_itself_is_refused(tables, entry, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        entry()


def test_rules_may_take_what_parameters_there_are(tables):
    free = tn.op(lambda x, k=2: x * k, "c({x})", lambda g, y, x, **params: g * params.get("k", 2), name="c",
                 defaults={"k": 2})  # fmt: skip
    assert tn.grad(free)(1.0) == 2.0
    assert tn.grad(lambda x: free(x, k=5))(1.0) == 5.0
    assert tn.op(lambda *xs: xs[0], "c({x})", lambda g, y, x: g, name="c")(3.0) == 3.0


def test_a_forward_function_has_one_result(tables):
    both = tn.op(lambda x: (x, 2 * x), "both({x})", lambda g, y, x: g, name="both")
    with pytest.raises(TypeError) as error:
        both(tn.tensor([1.0], requires_grad=True))
    assert str(error.value) == (
        "the forward function of both returned a tuple of 2: an operation has one result; make one operation for "
        "each, or np.stack them"
    )


def test_a_name_of_others_may_be_given_to_an_operation(tables, monkeypatch):
    monkeypatch.setattr(tn.Tensor, "view", vars(tn.Tensor)["view"], raising=False)  # so that it is back afterwards
    tn.op(lambda x: x, "view({x})", lambda g, y, x: g, name="view")
    assert tn.tensor([1.0]).view().item() == 1.0


def test_help_names_every_field_of_an_entry():
    told = set(re.findall(r"`(\w+)`", inspect.getdoc(tn.op)))
    assert told >= FIELDS
    assert all(f'"{kind}"' in tn.Op.__doc__ for kind in KINDS if kind)


def test_parameters_are_read_from_code_as_inspect_reads_them():
    def everything(a, /, b, *args, c, d=2, **k): ...

    functions = [f for op in checks.ALL.values() for f in (op.forward, *consistency._functions(op.vjps))]
    for function in [*functions, everything, lambda x=1: x, functools.wraps(everything)(lambda: 0)]:
        assert consistency._parameters(function) == consistency._inspected(function)
