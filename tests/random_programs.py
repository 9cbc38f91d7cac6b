"""Random programs over all differentiable operations, the same from every seed, for our tensors and those of others.

`program(seed)` draws inputs of 0 to 4 axes and a graph of operations on them, with reuse, sharing and broadcasting.
Each step is drawn until its value is tame: finite, not large, away from kinks.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import tinygrad_nn as tn

LARGE, KINK = 20.0, 0.02  # the largest value, the least distance from a kink


@dataclass
class Step:
    """One operation: its name in our namespace, which earlier values it takes, and what comes behind them."""

    name: str
    sources: list[int]
    rest: tuple = ()
    params: dict = field(default_factory=dict)

    def carry_out(self, xp, values):
        arrays = [values[i] for i in self.sources]
        match self.name:
            case "numbers":
                return self.rest[0](arrays[0])
            case "regular":  # a matrix that can be inverted
                return 0.3 * arrays[0] + constant(xp, 3 * np.eye(arrays[0].shape[-1]))
            case "concatenate" | "stack" | "hstack" | "vstack":
                return getattr(xp, self.name)(arrays, **self.params)
            case "einsum":
                return xp.einsum(self.rest[0], *arrays)
            case "split":
                return xp.split(arrays[0], *self.rest[:2], **self.params)[self.rest[2]]
            case "polygamma":
                return xp.polygamma(self.params["n"], arrays[0])
            case "slogdet":
                return xp.slogdet(arrays[0])[1]
            case "index_update":
                return xp.index_update(arrays[0], self.rest[0], arrays[1])
            case "where":
                return xp.where(*self.rest or [arrays[0] > arrays[1]], *arrays)
        return getattr(xp, self.name)(*arrays, *self.rest, **self.params)


@dataclass
class Program:
    """A function of (namespace, *inputs) that returns a scalar; its `steps` can be read."""

    seed: int
    steps: list[Step]
    outputs: list[tuple[int, np.ndarray]]  # which values count, and with which weights

    def __call__(self, xp, *inputs):
        return self.total(xp, self.run(xp, inputs))

    def run(self, xp, inputs, watch=lambda values: None):
        """All values, inputs first; `watch` sees them after every step."""
        values = list(inputs)
        for step in self.steps:
            watch(values)
            values.append(step.carry_out(xp, values))
        watch(values)
        return values

    def total(self, xp, values):
        total = 0.0
        for at, weights in self.outputs:
            total = total + xp.sum(values[at] * constant(xp, weights))
        return total

    @property
    def names(self):
        return {step.name for step in self.steps}


def constant(xp, value):
    return xp.constant(value) if hasattr(xp, "constant") else value


def program(seed: int, length: int | None = None) -> tuple[Program, list[np.ndarray]]:
    """A random program and its inputs, float64 arrays."""
    return Author(seed).write(length)


# --- what each operation asks of its arguments ------------------------------------------------------------------------

ANYWHERE = """negative square sin cos arctan sinh cosh tanh arcsinh sinc erf sigmoid log_sigmoid gelu silu softplus mish
exp expm1 exp2 positive copy radians"""
KINKED_AT_0 = "abs fabs relu leaky_relu elu selu softsign"
POSITIVE = "log log1p log2 log10 sqrt cbrt reciprocal"
KINKED_AT = {"celu": 0.0, "hard_sigmoid": 3.0, "hard_swish": 3.0, "soft_shrink": 0.5, "hard_shrink": 0.5}
INSIDE = "arcsin arccos arctanh tan"
TWO = "add subtract multiply add multiply hypot logaddexp arctan2 divide power maximum minimum"
NUMBERS = [
    lambda x: x * 2.5, lambda x: 3 - x, lambda x: x / 3, lambda x: x**2, lambda x: x**3, lambda x: -x,
    lambda x: 0.5 * x + x, lambda x: 2**x, lambda x: (x * x + 1) ** -1.5, lambda x: (x * x + 0.5) ** 0.5,
    lambda x: 1 / (x * x + 1), lambda x: abs(x + 30), lambda x: x @ x if x.ndim == 1 else x * x,
]  # fmt: skip


class Author:
    """Writes one program: a generator of random numbers, and the values so far."""

    def __init__(self, seed: int):
        self.seed, self.rng = seed, np.random.default_rng(seed)
        self.steps: list[Step] = []
        often = {"draw_unary": 6, "draw_two": 5, "draw_positive": 2, "draw_kinked": 2, "draw_sum": 2}
        names = [name for name in dir(self) if name.startswith("draw_")]
        self.kinds = [getattr(self, name) for name in names for _ in range(often.get(name, 1))]
        sizes = self.rng.choice([1, 2, 3], size=4, p=[0.2, 0.4, 0.4])
        self.inputs = []
        for _ in range(self.rng.integers(1, 4)):
            ndim = self.rng.integers(0, 5)
            shape = [int(n) if self.rng.random() < 0.85 else 1 for n in sizes[4 - ndim :]]
            self.inputs.append(self.rng.normal(size=shape))
        self.values = list(self.inputs)

    def write(self, length: int | None) -> tuple[Program, list[np.ndarray]]:
        length = int(self.rng.integers(3, 13)) if length is None else length
        attempts = 0
        while len(self.steps) < length and attempts < 50 * length:
            attempts += 1
            before = len(self.steps)
            try:
                self.kinds[self.rng.integers(len(self.kinds))]()
            except Unsuitable:
                del self.steps[before:], self.values[len(self.inputs) + before :]
        used = {i for step in self.steps for i in step.sources}
        ends = [i for i in range(len(self.values)) if i not in used] or [len(self.values) - 1]
        outputs = [(i, self.rng.uniform(-1, 1, size=np.shape(self.values[i]))) for i in ends]
        return Program(self.seed, self.steps, outputs), self.inputs

    # -- choices

    def pick(self, fits=lambda x: True) -> int:
        """One of the values, rather a late one."""
        places = [i for i, x in enumerate(self.values) if fits(x)]
        if not places:
            raise Unsuitable
        late = np.arange(1, len(places) + 1) ** 1.5
        return int(self.rng.choice(places, p=late / late.sum()))

    def one_of(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def axis(self, x, several=False):
        """An axis of x, from either end; a tuple or None where several are welcome."""
        one = int(self.rng.integers(-x.ndim, x.ndim)) if x.ndim else None
        if not several or self.rng.random() < 0.4:
            return one
        if self.rng.random() < 0.3 or not x.ndim:
            return None
        return tuple(int(i) for i in self.rng.permutation(x.ndim)[: self.rng.integers(1, x.ndim + 1)])

    def add(self, name, *sources, rest=(), margin=None, **params) -> int:
        """Take the step, if its value is tame."""
        step = Step(name, list(sources), rest, params)
        if margin is not None and not margin > KINK:
            raise Unsuitable
        y = np.asarray(step.carry_out(tn, self.values))
        if y.size > 200 or not y.size or not np.isfinite(y).all() or np.abs(y).max() > LARGE:
            raise Unsuitable
        self.steps.append(step)
        self.values.append(y)
        return len(self.values) - 1

    def positive(self, at):
        return self.add("numbers", at, rest=(lambda x: x * x + 0.5,))

    def inside(self, at):
        return self.add("numbers", self.add("sin", at), rest=(lambda x: 0.8 * x,))

    def gap(self, a, b):
        return np.abs(a - b).min(initial=np.inf)

    # -- elementwise

    def draw_unary(self):
        name, at = self.one_of(*ANYWHERE.split()), self.pick(lambda x: np.abs(x).max() < 5)
        # PyTorch's second derivative of sinc is NaN at 0 and loses its digits near it
        self.add(name, at, margin=np.abs(self.values[at]).min() / 10 if name == "sinc" else None)

    def draw_small(self):
        self.add("degrees", self.pick(lambda x: np.abs(x).max() < 0.3))

    def draw_kinked(self):
        at = self.pick()
        self.add(self.one_of(*KINKED_AT_0.split()), at, margin=np.abs(self.values[at]).min())

    def draw_positive(self):
        self.add(self.one_of(*POSITIVE.split()), self.positive(self.pick()))

    def draw_kinked_elsewhere(self):
        name, at = self.one_of(*KINKED_AT), self.pick()
        self.add(name, at, margin=self.gap(np.abs(self.values[at]), KINKED_AT[name]))

    def draw_special(self):
        name = self.one_of("erfc", "i0", "tanh_shrink", "erfinv", "gammaln", "digamma", "polygamma")
        at = self.pick(lambda x: np.abs(x).max() < 5)
        if name in ("gammaln", "digamma", "polygamma"):
            at = self.positive(at)
        if name == "erfinv":
            at = self.inside(at)
        self.add(name, at, **({"n": 1} if name == "polygamma" else {}))

    def draw_inside(self):
        self.add(self.one_of(*INSIDE.split()), self.inside(self.pick()))

    def draw_above_one(self):
        self.add("arccosh", self.add("numbers", self.pick(), rest=(lambda x: x * x + 1.5,)))

    def draw_numbers(self):
        self.add("numbers", self.pick(), rest=(self.one_of(*NUMBERS),))

    def draw_two(self):
        a = self.pick()
        b = self.pick(lambda x: broadcastable(x, self.values[a]))
        name, margin = self.one_of(*TWO.split()), None
        if name in ("divide", "arctan2", "hypot"):
            b = self.positive(b)
        if name == "power":
            a = self.positive(a)
        if name in ("maximum", "minimum"):
            margin = self.gap(self.values[a], self.values[b])
        self.add(name, a, b, margin=margin)

    def draw_choice(self):
        a = self.pick()
        b = self.pick(lambda x: broadcastable(x, self.values[a]))
        if self.rng.random() < 0.5:
            self.add("where", a, b, margin=self.gap(self.values[a], self.values[b]))
        else:
            self.add("where", a, b, rest=(self.rng.random(np.broadcast(self.values[a], self.values[b]).shape) < 0.5,))

    def draw_limits(self):
        at = self.pick()
        low, high = self.one_of((-0.7, 0.9), (None, 0.5), (-0.5, None))
        margin = min(self.gap(self.values[at], bound) for bound in (low, high) if bound is not None)
        self.add("clip", at, rest=(low, high), margin=margin)
        self.add("hard_tanh", at, margin=np.abs(np.abs(self.values[at]) - 1).min())

    def draw_remainder(self):
        a = self.pick()
        b = self.positive(self.pick(lambda x: broadcastable(x, self.values[a])))
        share = self.values[a] / self.values[b]
        self.add(self.one_of("remainder", "fmod"), a, b, margin=self.gap(share, np.rint(share)))

    def draw_sign_or_larger(self):
        a = self.pick()
        b = self.pick(lambda x: broadcastable(x, self.values[a]))
        sizes = min(np.abs(self.values[i]).min() for i in (a, b))
        self.add("copysign", a, b, margin=sizes)
        self.add(self.one_of("fmax", "fmin"), a, b, margin=self.gap(self.values[a], self.values[b]))

    # -- in order

    def draw_order(self):
        at = self.pick(lambda x: x.ndim)
        x, axis = self.values[at], self.axis(self.values[at])
        if x.shape[axis] > 1 and np.diff(np.sort(x, axis=axis), axis=axis).min() < KINK:
            raise Unsuitable
        self.add(self.one_of("sort", "median"), at, axis=axis)

    def draw_along(self):
        at = self.pick(lambda x: x.ndim)
        x, axis = self.values[at], self.axis(self.values[at])
        places = self.rng.integers(0, x.shape[axis], size=x.shape)
        self.add("take_along_axis", at, rest=(places,), axis=axis)
        if x.shape[axis] > 1:
            self.add("diff", at, axis=axis)

    # -- reductions

    def draw_sum(self):
        at = self.pick()
        self.add(self.one_of("sum", "mean", "prod", "logsumexp"), at, **self.over(at))

    def over(self, at):
        axis = self.axis(self.values[at], several=True)
        return self.one_of({"axis": axis}, {"axis": axis, "keepdims": True})

    def draw_spread(self):
        at = self.pick(lambda x: x.size > 1)
        params = self.over(at)
        if np.var(self.values[at], axis=params["axis"]).min() < 0.05:
            raise Unsuitable
        self.add(self.one_of("var", "std"), at, **params, **self.one_of({}, {"ddof": 0.5}))

    def draw_extreme(self):
        at = self.pick()
        params = self.over(at)
        x = self.values[at]
        tops = np.partition(x.ravel(), -2)[-2:] if x.size > 1 else np.array([0.0, 1.0])
        if params["axis"] is not None or (x.size > 1 and tops[1] - tops[0] < KINK):
            params = {"axis": self.axis(x)} if x.ndim else {}
            if x.ndim and x.shape[params["axis"]] > 1:
                near = np.sort(x, axis=params["axis"])
                if np.diff(near, axis=params["axis"]).min() < KINK:
                    raise Unsuitable
        self.add(self.one_of("max", "min") if x.size > 2 and params.get("axis") is not None else "max", at, **params)

    def draw_norm(self):
        at = self.pick(lambda x: x.ndim and np.abs(x).min() > 2 * KINK)
        x = self.values[at]
        if self.rng.random() < 0.4:
            self.add("norm", at, **self.one_of({}, {"axis": self.axis(x)}, {"axis": self.axis(x), "keepdims": True}))
        else:
            self.add("norm", at, ord=self.one_of(1, 2, 3, 2.5), axis=self.axis(x), keepdims=bool(self.rng.integers(2)))

    def draw_soft(self):
        at = self.pick(lambda x: x.ndim)
        self.add(self.one_of("softmax", "log_softmax"), at, axis=self.axis(self.values[at]))

    def draw_running(self):
        at = self.pick(lambda x: x.ndim)
        self.add(self.one_of("cumsum", "cumprod"), at, axis=self.one_of(self.axis(self.values[at]), None))

    def draw_running_choice(self):
        at = self.pick(lambda x: x.ndim)
        axis = self.axis(self.values[at])
        gaps = np.diff(np.sort(self.values[at], axis=axis), axis=axis)
        self.add(self.one_of("cummax", "cummin"), at, axis=axis, margin=gaps.min(initial=np.inf))
        self.add("logcumsumexp", at, axis=axis)

    # -- shaping

    def draw_shape(self):
        at = self.pick()
        x = self.values[at]
        shape = list(x.shape) + [1] * int(self.rng.integers(0, 2))
        self.rng.shuffle(shape)
        self.add("reshape", at, rest=(self.one_of(tuple(shape), (-1,), tuple(shape[:-1]) + (-1,) if shape else (1,)),))
        self.add(self.one_of("ravel", "squeeze"), at)

    def draw_axes(self):
        at = self.pick(lambda x: x.ndim > 1)
        ndim = self.values[at].ndim
        a, b = (int(i) for i in self.rng.integers(-ndim, ndim, 2))
        order = tuple(int(i) for i in self.rng.permutation(ndim))
        self.one_of(
            lambda: self.add("transpose", at, rest=(order,)), lambda: self.add("transpose", at),
            lambda: self.add("swapaxes", at, rest=(a, b)), lambda: self.add("moveaxis", at, rest=(a, b)),
        )()  # fmt: skip

    def draw_more(self):
        at = self.pick(lambda x: x.ndim < 4)
        x = self.values[at]
        self.one_of(
            lambda: self.add("expand_dims", at, rest=(int(self.rng.integers(-x.ndim - 1, x.ndim + 1)),)),
            lambda: self.add("broadcast_to", at, rest=((2, *x.shape),)),
            lambda: self.add("tile", at, rest=(self.one_of(2, (2, 1), (1, 2)),)),
            lambda: self.add("repeat", at, rest=(2,), axis=self.one_of(None, self.axis(x))),
        )()

    def draw_turn(self):
        at = self.pick(lambda x: x.ndim)
        x = self.values[at]
        axis = self.axis(x)
        self.one_of(
            lambda: self.add("roll", at, rest=(int(self.rng.integers(-3, 4)),), axis=self.one_of(None, axis)),
            lambda: self.add("flip", at, axis=self.one_of(None, axis, self.axis(x, several=True))),
        )()

    def draw_triangle(self):
        at = self.pick(lambda x: x.ndim > 1)
        k = int(self.rng.integers(-1, 2))
        name = self.one_of("tril", "triu", "diagonal", "trace")
        self.add(name, at, rest=(k,))
        self.add("diag", self.pick(lambda x: x.ndim in (1, 2)), rest=(k,))

    def draw_joined(self):
        a = self.pick(lambda x: x.ndim)
        b = self.pick(lambda x: x.shape == self.values[a].shape)
        name = self.one_of("concatenate", "stack", "hstack", "vstack")
        axis = {"axis": self.axis(self.values[a])} if name in ("concatenate", "stack") else {}
        self.add(name, a, b, *self.one_of((), (a,)), **axis)

    def draw_part(self):
        at = self.pick(lambda x: x.ndim)
        axis = self.axis(self.values[at])
        n = self.values[at].shape[axis]
        self.add("split", at, rest=(self.one_of(n, [1], [1, min(n, 2)]), axis, int(self.rng.integers(0, min(n, 2)))))

    def draw_padding(self):
        at = self.pick(lambda x: 0 < x.ndim < 3 and min(x.shape) > 1)
        width = self.one_of(1, (1, 0), ((0, 1),) * self.values[at].ndim)
        mode = self.one_of("constant", "edge", "reflect", "symmetric", "wrap")
        self.add("pad", at, rest=(width,), mode=mode)

    def draw_taken(self):
        at = self.pick(lambda x: x.ndim)
        axis = self.axis(self.values[at])
        n = self.values[at].shape[axis]
        indices = self.rng.integers(-n, n, self.one_of((), (3,), (2, 2)))
        self.add("take", at, rest=(np.array(indices),), axis=axis)

    def index(self, x):
        kept: list = []
        for n in x.shape:
            part = self.one_of(
                int(self.rng.integers(-n, n)), slice(None), slice(None, None, -1), slice(0, n, 2), slice(-1, None),
                None, self.rng.integers(-n, n, 2), self.rng.integers(0, n, 2), Ellipsis,
            )  # fmt: skip
            if part is Ellipsis and any(p is Ellipsis for p in kept):
                part = slice(None)
            kept += [None, slice(None)] if part is None else [part]
        return tuple(kept)

    def draw_indexed(self):
        at = self.pick(lambda x: x.ndim)
        self.add("getitem", at, rest=(self.index(self.values[at]),))

    def draw_updated(self):
        at = self.pick(lambda x: x.ndim)
        number = self.add("sum", self.pick(), axis=None)
        index = self.one_of(0, (Ellipsis, -1), slice(None, None, 2))
        self.add("index_update", at, number, rest=(index,))

    # -- linear algebra

    def draw_product(self):
        a = self.pick(lambda x: x.ndim)

        def multiplies(x):
            return (
                x.ndim
                and x.shape[-min(x.ndim, 2)] == self.values[a].shape[-1]
                and leading_broadcastable(self.values[a], x)
            )

        self.add("matmul", a, self.pick(multiplies))

    def draw_gram(self):
        at = self.pick(lambda x: x.ndim > 1)
        turned = self.add("swapaxes", at, rest=(-1, -2))
        self.add("matmul", *self.one_of((at, turned), (turned, at)))

    def draw_other_products(self):
        a, b = self.pick(lambda x: x.ndim < 3), self.pick(lambda x: x.ndim < 3)
        x, y = self.values[a], self.values[b]
        choices = [lambda: self.add("kron", a, b), lambda: self.add("outer", a, b)]
        if x.ndim and y.ndim and x.shape[-1] == y.shape[-1]:
            choices.append(lambda: self.add("inner", a, b))
            choices.append(lambda: self.add("tensordot", a, b, axes=([x.ndim - 1], [y.ndim - 1])))
        if x.ndim and y.ndim and x.shape[-1] == y.shape[-min(y.ndim, 2)]:
            choices.append(lambda: self.add("dot", a, b))
        self.one_of(*choices)()

    def draw_einsum(self):
        names, sizes, terms = "abcdefgh", {}, []
        sources = [self.pick() for _ in range(self.rng.integers(1, 4))]
        for at in sources:
            term = ""
            for n in self.values[at].shape:
                known = [c for c in sizes if sizes[c] == n]
                if len(sizes) == len(names):
                    raise Unsuitable
                letter = self.one_of(*known) if known and self.rng.random() < 0.7 else names[len(sizes)]
                sizes[letter] = n
                term += letter
            terms.append(term)
        output = "".join(c for c in self.rng.permutation(list(sizes)) if self.rng.random() < 0.5)[:4]
        self.add("einsum", *sources, rest=(",".join(terms) + "->" + output,))

    def draw_inverse(self):
        at = self.pick(lambda x: x.ndim > 1 and x.shape[-1] == x.shape[-2] and np.abs(x).max() < 4)
        n = self.values[at].shape[-1]
        square = self.add("regular", at)
        if np.linalg.cond(self.values[square]).max() > 20:
            raise Unsuitable
        choice = self.one_of("inv", "det", "slogdet", "solve", "cholesky")
        if choice == "solve":
            self.add(
                choice,
                square,
                self.pick(lambda x: x.ndim > 1 and x.shape[-2] == n and leading_broadcastable(self.values[at], x)),
            )
        elif choice == "cholesky":
            turned = self.add("swapaxes", square, rest=(-1, -2))
            self.add(choice, self.add("matmul", square, turned))
        else:
            self.add(choice, square)

    # -- losses

    def draw_loss(self):
        a = self.pick()
        b = self.pick(lambda x: x.shape == self.values[a].shape)
        size = np.abs(self.values[a] - self.values[b])
        self.one_of(
            lambda: self.add("mse", a, b),
            lambda: self.add("l1_loss", a, b, margin=size.min()),
            lambda: self.add("huber_loss", a, b, margin=np.abs(size - 1).min()),
            lambda: self.add("binary_cross_entropy", a, self.add("sigmoid", b)),
        )()

    def draw_labels(self):
        at = self.pick(lambda x: x.ndim == 2 and x.shape[0] > 1)
        classes, n = self.values[at].shape
        self.add("cross_entropy", at, rest=(self.rng.integers(0, classes, n),))


class Unsuitable(Exception):  # noqa: N818  no error: the next draw
    """These values do not fit this operation."""


def broadcastable(a, b):
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        return False
    return True


def leading_broadcastable(a, b):
    return broadcastable(np.empty(a.shape[:-2]), np.empty(b.shape[:-2]))
