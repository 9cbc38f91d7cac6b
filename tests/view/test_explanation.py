"""`tn.explain`: what it says is right, in each format."""

import math
import re

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn.view.renderers import latex

POWERS = {"²": "**2", "³": "**3"}


def evaluated(formula, values):
    """A printed formula as Python: the way a reader would type it into a calculator."""
    for name in sorted(values, key=len, reverse=True):
        formula = re.sub(rf"(?<![A-Za-z₀-₉]){re.escape(name)}(?![A-Za-z₀-₉(])", f"({values[name]!r})", formula)
    formula = re.sub(r"(?<=[\d)])(?=\()", "*", formula)
    for old, new in {"·": "*", "−": "-", **POWERS}.items():
        formula = formula.replace(old, new)
    return eval(formula, {"sin": math.sin, "cos": math.cos, "exp": math.exp, "log": math.log})


def derivation(text, heading):
    """The right sides of a section's equation."""
    section = text.split(f"{heading}", 1)[1].split("\n\n")[0]
    return [line.split("= ", 1)[1] for line in section.splitlines() if re.match(r" +(d\S+/d\S+)? *= ", line)]


def test_founding_example_is_derived_as_in_the_text(founding):
    text = tn.explain(founding[1], founding[0])
    assert "  s = u + v = 2.7808\n  z = sin(s) = 0.3530\n" in text
    assert "  ∂u/∂x = 2x = 3.2974\n" in text
    assert "Total derivative: t = 0.5 reaches z along 2 paths" in text
    assert derivation(text, "Total derivative")[1:] == [
        "cos(s)·2x·exp(t) + cos(s)·2y·2t",
        "−0.9356·3.2974·1.6487 − 0.9356·0.5",
        "−5.0865 − 0.4678",
        "−5.5543",
    ]
    assert derivation(text, "Factored")[0] == "cos(s)·(2x·exp(t) + 2y·2t)"
    assert text.rstrip().endswith("✓ the backward pass gives −5.5543")


def test_printed_formulas_evaluate_to_the_gradient(founding):
    t, z = founding
    text = tn.explain(z, t)
    values = {n.name: float(n.value) for n in tn.paths(z, t).nodes}
    right = tn.gradients(z, t)[0].item()
    total, factored = derivation(text, "Total derivative"), derivation(text, "Factored")
    assert evaluated(total[1], values) == pytest.approx(right, rel=1e-12)
    assert evaluated(factored[0], values) == pytest.approx(right, rel=1e-12)
    for line in total[2:] + factored[1:]:
        assert evaluated(line, {}) == pytest.approx(right, rel=1e-4)


def test_factored_form_of_acceptance():
    X = tn.tensor(1.0, requires_grad=True, name="X")
    Y = (2 * X + 3 * X + 5 * X).named("Y")
    Z = (7 * Y + 11 * Y + 13 * Y).named("Z")
    text = tn.explain(Z, X, names={})
    assert "X = 1 reaches Z along 9 paths" in text
    assert "  dZ/dX = (2 + 3 + 5)·(7 + 11 + 13)\n        = 310\n" in text.replace(
        "(7 + 11 + 13)·(2 + 3 + 5)", "(2 + 3 + 5)·(7 + 11 + 13)"
    )
    assert "Multiplications: 39 path by path, 12 by backpropagation" in text


def test_two_slots_of_one_operation_are_told_apart():
    a = tn.tensor(3.0, requires_grad=True, name="a")
    text = tn.explain((a * a).named("b"), a)
    assert "  ∂b/∂a (argument 1) = a = 3\n  ∂b/∂a (argument 2) = a = 3\n" in text
    assert "= 3 + 3\n" in text


def test_a_quotient_before_another_factor_is_bracketed():
    t = tn.tensor(0.5, requires_grad=True)
    z = tn.log(tn.exp(t * 2) + 1)
    assert derivation(tn.explain(z, t), "Total derivative")[1] == "(1 / v₃)·exp(v₁)·2"
    z = 3 * tn.log(t)
    assert derivation(tn.explain(z, t), "Total derivative")[1] == "3·(1 / t)"
    z = tn.log(t)
    assert derivation(tn.explain(z, t), "Total derivative")[1] == "1 / t"


def test_many_paths_are_summed_not_listed():
    v = t = tn.tensor(0.3, requires_grad=True, name="t")
    for _ in range(20):
        v = tn.sin(v) + tn.cos(v)
    text = tn.explain(v, t)
    assert "reaches v along 1,048,576 paths" in text
    assert "all other 1,048,573 together" in text
    assert "= −1.5584e−4" in text
    assert "Factored" in text
    assert len(text) < 10_000


def test_arrays_are_explained_by_rules_and_shares(network):
    W = network.inputs[0].inputs[0].inputs[0].inputs[0]
    text = tn.explain(network, W)
    assert "∂v₂/∂W² = · A¹ᵀ = Jacobian 5 × 3" in text
    assert "an array of 1 × 3" in text
    assert "✓ the backward pass gives the same array" in text


def test_no_path_and_the_trivial_path():
    a, b = (tn.tensor(2.0, requires_grad=True, name=n) for n in "ab")
    assert "dz/db = 0: no path leads from b to z" in tn.explain(tn.exp(a), b, names={"b": b})
    assert "= 1: z is t itself" in tn.explain(a, a)


def test_markdown_has_formulas(founding):
    text = tn.explain(founding[1], founding[0], format="markdown")
    assert text.startswith("### How z is computed\n\n$$\n\\begin{aligned}\n")
    assert r"\frac{\partial u}{\partial x} &= 2x = 3.2974" in text
    assert text.count("$$") % 2 == 0


def test_latex_is_a_standalone_document_of_ascii(founding):
    text = tn.explain(founding[1], founding[0], format="latex")
    assert text.startswith("\\documentclass[border=6pt,varwidth=24cm]{standalone}")
    assert text.isascii()
    assert text.count("\\begin{align*}") == text.count("\\end{align*}")
    assert balanced(text)


def test_wild_names_cannot_break_out_of_any_format():
    name = '<b>&"x\\end{document}$%#_^~|*`[]'
    h = tn.tensor(1.0, requires_grad=True, name=name)
    z = tn.exp(h).named("z")
    text = tn.explain(z, h, format="latex")
    assert text.isascii()
    assert text.count("\\end{document}") == 1
    assert balanced(text)
    assert "\\<b\\>\\&" in tn.explain(z, h, format="markdown")
    assert name in tn.explain(z, h)


def balanced(text):
    text = re.sub(r"\\[\\{}]", "", text)
    return text.count("{") == text.count("}")


FORMULAS = ["cos(v₃)·2x²", "−a·b / 2", "W¹ᵀ ·", "· ⊙ (1 − A¹ ⊙ A¹)", "∂z/∂x·∂x/∂t + ∂z/∂y", "σ(x)",
            "x^(−0.5)", "1.5e−4", "ŷ₁", "A¹^2", "x²′", 'x²"', "where(x > 0, 1, 0)"]  # fmt: skip


@pytest.mark.parametrize("formula", FORMULAS)
def test_formulas_are_what_a_typesetter_reads(formula):
    mathtext = pytest.importorskip("matplotlib.mathtext")
    mathtext.MathTextParser("agg").parse(f"${latex.math(formula)}$")


def test_wrong_arguments(founding):
    t, z = founding
    with pytest.raises(ValueError, match="format must be 'text', 'markdown' or 'latex', not 'pdf'"):
        tn.explain(z, t, format="pdf")
    with pytest.raises(TypeError, match="explain takes tensors, t is of type float"):
        tn.explain(z, 0.5)
    t.data[...] = 7.0
    with pytest.raises(tn.MutationError, match="t of shape"):
        tn.explain(z, t)


def test_explaining_leaves_grad_alone(founding):
    t, z = founding
    z.backward()
    kept = np.copy(t.grad)
    tn.explain(z, t)
    assert np.array_equal(t.grad, kept)
