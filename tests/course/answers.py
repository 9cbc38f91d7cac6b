"""What readers write for the exercises of the course: solutions, and wrong answers with a word of their hint."""

import math
from collections import defaultdict

import numpy as np

import tinygrad_nn as tn

WRONG = defaultdict(list)  # exercise -> (answer, a part of what the verdict says)
RIGHT = {}


def right(exercise):
    """Mark a solution."""

    def mark(answer):
        RIGHT[exercise] = (answer,)
        return answer

    return mark


def wrong(exercise, hint):
    """Mark a wrong answer, and what its reader has to be told."""

    def mark(answer):
        WRONG[exercise].append(((answer,), hint))
        return answer

    return mark


# --- 1

right("slope")(lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 2e-5)
wrong("slope", "difference to one side")(lambda f, x: (f(x + 1e-5) - f(x)) / 1e-5)
wrong("slope", "difference to one side")(lambda f, x: (f(x) - f(x - 1e-6)) / 1e-6)
wrong("slope", "twice the slope")(lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 1e-5)
wrong("slope", "sign is turned")(lambda f, x: (f(x - 1e-5) - f(x + 1e-5)) / 2e-5)
wrong("slope", "h is so small")(lambda f, x: (f(x + 1e-12) - f(x - 1e-12)) / 2e-12)
wrong("slope", "x + h is x")(lambda f, x: (f(x + 1e-300) - f(x - 1e-300)) / 2e-300 * 0)
wrong("slope", "h is too large")(lambda f, x: (f(x + 0.01) - f(x - 0.01)) / 0.02)
wrong("slope", "is there a `return`")(lambda f, x: None)
wrong("slope", "ZeroDivisionError")(lambda f, x: f(x) / 0)

# --- 2


@right("chain")
def chain(functions, derivatives, x):
    product = 1.0
    for f, d in zip(functions, derivatives, strict=True):
        product *= d(x)
        x = f(x)
    return product


@wrong("chain", "taken at x")
def all_at_x(functions, derivatives, x):
    return math.prod(d(x) for d in derivatives)


@wrong("chain", "they multiply, as gears")
def added(functions, derivatives, x):
    total = 0.0
    for f, d in zip(functions, derivatives, strict=True):
        total += d(x)
        x = f(x)
    return total


@wrong("chain", "at what goes in")
def at_what_comes_out(functions, derivatives, x):
    product = 1.0
    for f, d in zip(functions, derivatives, strict=True):
        x = f(x)
        product *= d(x)
    return product


@wrong("chain", "from the last to the first")
def from_the_back(functions, derivatives, x):
    return chain(functions[::-1], derivatives[::-1], x)


# --- 3


@right("add_paths")
def add_paths(edges, start, end):
    slope = defaultdict(float)
    slope[end] = 1.0
    waiting = {tail: sum(t == tail for t, _, _ in edges) for tail, _, _ in edges}
    ready = [head for _, head, _ in edges if head not in waiting]
    while ready:
        node = ready.pop()
        for tail, head, d in edges:
            if head == node:
                slope[tail] += d * slope[head]
                waiting[tail] -= 1
                if not waiting[tail]:
                    ready.append(tail)
        edges = [edge for edge in edges if edge[1] != node]
    return slope[start]


def paths_of(edges, node, end):
    if node == end:
        return [[]]
    return [[d, *rest] for tail, head, d in edges if tail == node for rest in paths_of(edges, head, end)]


wrong("add_paths", "last path alone")(lambda edges, s, e: math.prod(paths_of(edges, s, e)[-1]))
wrong("add_paths", "first path alone")(lambda edges, s, e: math.prod(paths_of(edges, s, e)[0]))
wrong("add_paths", "products of the paths were multiplied")(
    lambda edges, s, e: math.prod(map(math.prod, paths_of(edges, s, e)))
)
wrong("add_paths", "they multiply")(lambda edges, s, e: sum(map(sum, paths_of(edges, s, e))))
wrong("add_paths", "do not list paths one by one")(lambda edges, s, e: sum(map(math.prod, paths_of(edges, s, e))))


@wrong("add_paths", "are two paths")
def one_arrow_each(edges, start, end):
    return add_paths([(a, b, d) for (a, b), d in {(a, b): d for a, b, d in edges}.items()], start, end)


# --- 4


def inputs(node):
    return [x for x in node.inputs if isinstance(x, tn.Tensor)]


@right("order")
def order(root):
    seen, stack, found = set(), [(root, False)], []
    while stack:
        node, done = stack.pop()
        if done:
            found.append(node)
        elif id(node) not in seen:
            seen.add(id(node))
            stack += [(node, True), *((x, False) for x in inputs(node))]
    return found[::-1]


@wrong("order", "would send its gradient on before all parts")
def breadth_first(root):
    found, seen = [root], {id(root)}
    for node in found:
        for x in inputs(node):
            if id(x) not in seen:
                seen.add(id(x))
                found.append(x)
    return found


@wrong("order", "would send its gradient on before all parts")
def before_its_inputs(root):
    found, seen, stack = [], set(), [root]
    while stack:
        node = stack.pop()
        if id(node) not in seen:
            seen.add(id(node))
            found.append(node)
            stack += inputs(node)
    return found


@wrong("order", "turn the list around")
def forwards(root):
    return order(root)[::-1]


@wrong("order", "times: a node that is used twice")
def all_paths(root):
    found = [root]
    for node in found:
        found += inputs(node)
        if len(found) > 2000:
            break
    return found


@wrong("order", "calls itself too deeply")
def recursive(root):
    found, seen = [], set()

    def visit(node):
        if id(node) not in seen:
            seen.add(id(node))
            for x in inputs(node):
                visit(x)
            found.append(node)

    visit(root)
    return found[::-1]


@wrong("order", "leaves out")
def without_leaves(root):
    return [node for node in order(root) if node.inputs]


# --- 5

RULES = (
    lambda g, y, a, b: (g * b, g * a),
    lambda g, y, x: g * y * (1 - y),
    lambda g, y, a, b: (g * (a > b), g * (a <= b)),
)


def wrong_rule(slot, rule, hint):
    WRONG["rules"].append(((*RULES[:slot], rule, *RULES[slot + 1 :]), hint))


RIGHT["rules"] = RULES
wrong_rule(0, lambda g, y, a, b: (g * a, g * b), "exchanged")
wrong_rule(0, lambda g, y, a, b: (b, a), "g is missing")
wrong_rule(0, lambda g, y, a, b: g * b, "expected two parts")
wrong_rule(1, lambda g, y, x: y * (1 - y), "g is missing")
wrong_rule(1, lambda g, y, x: g * x * (1 - x), "x stands where y is meant")
wrong_rule(1, lambda g, y, x: None, "is there a `return`")
wrong_rule(2, lambda g, y, a, b: (g, g), "only the larger one")
wrong_rule(2, lambda g, y, a, b: (g * (a < b), g * (a > b)), "wrong argument")

# --- 6


@right("unbroadcast")
def unbroadcast(g, shape):
    g = g.sum(axis=tuple(range(g.ndim - len(shape))))
    return g.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True)


wrong("unbroadcast", "came back as it was")(lambda g, shape: g)
wrong("unbroadcast", "keepdims=True")(
    lambda g, shape: (h := g.sum(axis=tuple(range(g.ndim - len(shape))))).sum(
        axis=tuple(i for i, n in enumerate(shape) if n == 1 and h.shape[i] != 1)
    )
)
wrong("unbroadcast", "The mean was taken")(lambda g, shape: unbroadcast(g, shape) * math.prod(shape) / g.size)
wrong("unbroadcast", "wrong axis")(
    lambda g, shape: g.sum(axis=tuple(range(len(shape), g.ndim))) if g.ndim > len(shape) else unbroadcast(g, shape)
)
wrong("unbroadcast", "only what was repeated")(lambda g, shape: g.sum() if g.shape != shape else g)

# --- 7

right("layer_backward")(lambda G, W, A: (G @ A.T, G.sum(axis=1, keepdims=True), W.T @ G))
wrong("layer_backward", "transpose")(lambda G, W, A: (A @ G.T, G.sum(axis=1, keepdims=True), W.T @ G))
wrong("layer_backward", "keep the axis")(lambda G, W, A: (G @ A.T, G.sum(axis=1), W.T @ G))
wrong("layer_backward", "do not divide by N")(lambda G, W, A: (G @ A.T / A.shape[1], G.sum(1, keepdims=True), W.T @ G))
wrong("layer_backward", "not G itself")(lambda G, W, A: (G @ A.T, G, W.T @ G))
wrong("layer_backward", "W is not transposed")(
    lambda G, W, A: (G @ A.T, G.sum(1, keepdims=True), W @ G if W.shape[0] == W.shape[1] else W.T @ G)
)
wrong("layer_backward", "three arrays")(lambda G, W, A: G @ A.T)

# --- 8


def backpropagation(weights, biases, X, Y, mean=True, output=True, hidden=True, sign=1.0):
    activations = [X]
    for W, b in zip(weights, biases, strict=True):
        activations.append(1 / (1 + np.exp(-(W @ activations[-1] + b))))
    N = X.shape[1] if mean else 1
    A = activations[-1]
    delta = sign * (A - Y) * (A * (1 - A) if output else 1)
    gradients = []
    for k in reversed(range(len(weights))):
        gradients.insert(0, (delta @ activations[k].T / N, delta.sum(axis=1, keepdims=True) / N))
        A = activations[k]
        delta = weights[k].T @ delta * (A * (1 - A) if hidden else 1)
    return gradients


right("backpropagation")(backpropagation)
for slip, hint in [
    ({"mean": False}, "1/N is missing"),
    ({"output": False}, "output layer is missing"),
    ({"hidden": False}, "hidden layers is missing"),
    ({"sign": -1.0}, "sign is turned"),
    ({"sign": 2.0}, "A factor 2"),
]:
    wrong("backpropagation", hint)(lambda *inputs, slip=slip: backpropagation(*inputs, **slip))
wrong("backpropagation", "one pair (dW, db)")(
    lambda *inputs: backpropagation(*inputs)[:-1] if len(inputs[0]) > 1 else []
)

# --- 9


@right("adam")
class Adam:
    corrected, inside, start = True, False, 0

    def __init__(self, lr, beta1, beta2, eps):
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        self.m = self.v = 0.0
        self.t = self.start

    def step(self, w, g):
        self.t += 1
        self.m = self.beta1 * self.m + (1 - self.beta1) * g
        self.v = self.beta2 * self.v + (1 - self.beta2) * g * g
        m, v = self.m, self.v
        if self.corrected:
            m, v = m / (1 - self.beta1**self.t), v / (1 - self.beta2**self.t)
        return w - self.lr * m / (np.sqrt(v + self.eps) if self.inside else np.sqrt(v) + self.eps)


wrong("adam", "not corrected")(type("Raw", (Adam,), {"corrected": False}))
wrong("adam", "ε is inside")(type("Inside", (Adam,), {"inside": True}))
wrong("adam", "one too large")(type("Late", (Adam,), {"start": 1}))


@wrong("adam", "plain gradient descent")
class Plain(Adam):
    def step(self, w, g):
        return w - self.lr * g


@wrong("adam", "uphill")
class Uphill(Adam):
    def step(self, w, g):
        return w + (w - super().step(w, g))


@wrong("adam", "is there a `return`")
class InPlace(Adam):
    def step(self, w, g):
        w -= self.lr * g


# --- 10

right("initial_weights")(lambda i, o, rng: rng.normal(size=(o, i)) / np.sqrt(i))
wrong("initial_weights", "breaks the symmetry")(lambda i, o, rng: np.zeros((o, i)))
wrong("initial_weights", "breaks the symmetry")(lambda i, o, rng: np.full((o, i), 0.1))
wrong("initial_weights", "too large")(lambda i, o, rng: rng.normal(size=(o, i)))
wrong("initial_weights", "too small")(lambda i, o, rng: 0.01 * rng.normal(size=(o, i)))
wrong("initial_weights", "a row for each output")(lambda i, o, rng: rng.normal(size=(i, o)) / np.sqrt(i))
wrong("initial_weights", "mean")(lambda i, o, rng: rng.uniform(size=(o, i)) / np.sqrt(i))
wrong("initial_weights", "draw only from `rng`")(
    lambda i, o, rng: np.random.default_rng().normal(size=(o, i)) / np.sqrt(i)
)
wrong("initial_weights", "made inside")(lambda i, o, rng: np.random.default_rng(0).normal(size=(o, i)) / np.sqrt(i))

# --- 11


def loop(lr=0.05, zero=True, step=True, epochs=10):
    def train(model, X, y, rng):
        optimizer = tn.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for _ in range(epochs):
            for X_batch, y_batch in tn.data.batches(X, y, batch_size=32, rng=rng):
                J = tn.cross_entropy(model(X_batch), y_batch)
                if zero:
                    optimizer.zero_grad()
                J.backward()
                if step:
                    optimizer.step()

    return train


right("train")(loop())
wrong("train", "no weight has moved")(loop(step=False))
wrong("train", "the cost has risen")(loop(zero=False, lr=0.2))
wrong("train", "expected at least 93 %")(loop(epochs=1, lr=0.001))


@wrong("train", "the cost has risen")
def uphill(model, X, y, rng):
    for _ in range(20):
        model.zero_grad()
        tn.cross_entropy(model(X), y).backward()
        for p in model.parameters():
            p.data += 0.1 * p.grad


# --- 12

right("hessian_product")(lambda f, x, v: tn.grad(lambda x: (tn.grad(f)(x) * v).sum())(x))
wrong("hessian_product", "diagonal of the Hessian")(
    lambda f, x, v: np.array([(tn.hessian(f)(x))[i, i] * v[i] for i in range(3)])
)
wrong("hessian_product", "That is the gradient")(lambda f, x, v: tn.grad(f)(x))
wrong("hessian_product", "number vᵀ H v")(lambda f, x, v: v @ tn.hessian(f)(x) @ v)
wrong("hessian_product", "multiplied before")(lambda f, x, v: v * tn.grad(lambda x: tn.grad(f)(x).sum())(x))


@wrong("hessian_product", "one derivative after the other")
def row_by_row(f, x, v):
    slopes = [tn.grad(lambda x, i=i: tn.grad(f)(x)[i])(x) for i in range(min(len(x), 100))]
    return np.array([row @ v for row in slopes])


# --- those who gave up


def unwritten(*inputs):
    raise NotImplementedError


for exercise in RIGHT:
    if exercise not in ("rules", "adam"):
        wrong(exercise, "not written yet")(unwritten)
