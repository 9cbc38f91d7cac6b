"""What readers write for lessons 5 to 12: solutions, and wrong answers with a word of their hint."""

import math

import numpy as np
from course.marks import RIGHT, WRONG, right, wrong

import tinygrad_nn as tn

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
wrong_rule(2, lambda g, y, a, b: (g * (a >= b), g * (b >= a)), "returns 2 and 2, expected two parts of 2 in all. Both")
wrong_rule(2, lambda g, y, a, b: (g * (a > b), g * (b > a)), "None got anything")
wrong_rule(2, lambda g, y, a, b: (g * (a > b), g * (b > a) - g * (a == b)), "or half to each")
wrong_rule(0, lambda g, y, a, b: (g * a, g * b), "for g = ")
wrong_rule(1, lambda g, y, x: (g * y * (1 - y),), "a rule of one argument returns the part itself, drop the comma")
wrong_rule(1, lambda g, y, x: [g * y * (1 - y)], "drop the brackets")

wrong_rule(0, lambda g, y, a, b: (g * b, g * b), "Both parts are the same")
wrong_rule(1, lambda g, y, x: np.multiply(g, y * (1 - y), out=g), "Do not write into what is handed in")
wrong_rule(1, lambda g, y, x: g * math.exp(-x) * y * y, "take NumPy's")
wrong_rule(2, lambda g, y, a, b: (g, 0) if a > b else (0, g), "each element decides for itself")
WRONG["rules"].append((RULES[:2], 'course.check("rules", multiply, sigmoid, maximum)'))

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

wrong("unbroadcast", "The largest was taken")(
    lambda g, shape: g.max(axis=tuple(range(g.ndim - len(shape)))).max(
        axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True
    )
)
wrong("unbroadcast", "That is 0: was something multiplied by 0")(lambda g, shape: np.zeros(shape))

# --- 7

right("layer_backward")(lambda G, W, A: (G @ A.T, G.sum(axis=1, keepdims=True), W.T @ G))
wrong("layer_backward", "transpose")(lambda G, W, A: (A @ G.T, G.sum(axis=1, keepdims=True), W.T @ G))
wrong("layer_backward", "keep the axis")(lambda G, W, A: (G @ A.T, G.sum(axis=1), W.T @ G))
wrong("layer_backward", "do not divide by N")(lambda G, W, A: (G @ A.T / A.shape[1], G.sum(1, keepdims=True), W.T @ G))
wrong("layer_backward", "not G itself")(lambda G, W, A: (G @ A.T, G, W.T @ G))
wrong("layer_backward", "W is not transposed")(
    lambda G, W, A: (G @ A.T, G.sum(1, keepdims=True), W @ G if W.shape[0] == W.shape[1] else W.T @ G)
)
wrong("layer_backward", "in this order")(lambda G, W, A: (W.T @ G, G @ A.T, G.sum(axis=1, keepdims=True)))
wrong("layer_backward", "no σ′ here")(lambda G, W, A: (G @ A.T, G.sum(1, keepdims=True), W.T @ G * A * (1 - A)))
wrong("layer_backward", "the columns of A must be as many")(lambda G, W, A: (G.T @ A, G.sum(1, keepdims=True), W.T @ G))
wrong("layer_backward", "must fit: print both")(lambda G, W, A: (G * A, G.sum(1, keepdims=True), W.T @ G))
wrong("layer_backward", "three arrays")(lambda G, W, A: G @ A.T)

# --- 8


def backpropagation(weights, biases, X, Y, mean=True, output=True, hidden=True, sign=1.0, again=False, early=False):
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
        if early:
            weights[k] -= gradients[0][0]
        delta = weights[k].T @ delta * (A * (1 - A) if hidden else 1) / (N if again else 1)
    return gradients


right("backpropagation")(backpropagation)
for slip, hint in [
    ({"mean": False}, "1/N is missing"),
    ({"output": False}, "output layer is missing"),
    ({"hidden": False}, "hidden layers is missing"),
    ({"sign": -1.0}, "sign is turned"),
    ({"sign": 2.0}, "A factor 2"),
    ({"again": True}, "in every layer"),
    ({"early": True}, "Do not write into what is handed in"),
]:
    wrong("backpropagation", hint)(lambda *inputs, slip=slip: backpropagation(*inputs, **slip))
wrong("backpropagation", "one pair (dW, db)")(
    lambda *inputs: backpropagation(*inputs)[:-1] if len(inputs[0]) > 1 else []
)

wrong("backpropagation", "layer 1 comes first")(lambda *inputs: backpropagation(*inputs)[::-1])
wrong("backpropagation", "returns all dW, then all db")(
    lambda *inputs: tuple(map(list, zip(*backpropagation(*inputs), strict=True)))
)
wrong("backpropagation", "expected pairs (dW, db)")(lambda *inputs: [dW for dW, _ in backpropagation(*inputs)])
wrong("backpropagation", "keep the axis, with keepdims=True")(
    lambda *inputs: [(dW, db[:, 0]) for dW, db in backpropagation(*inputs)]
)


@wrong("backpropagation", "at [2, 1], expected ")  # a large array, told by its worst element
def one_is_wrong(*inputs):
    gradients = backpropagation(*inputs)
    for dW, _ in gradients:
        if dW.shape == (4, 3):
            dW[2, 1] += 1
    return gradients


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


@wrong("adam", "What is new gets the weight 1 − β")
class Sums(Adam):
    def step(self, w, g):
        self.m, self.v = self.m + g, self.v + g * g
        return super().step(w, g)


@wrong("adam", "has replaced the mean")
class Replaced(Adam):
    def step(self, w, g):
        w = super().step(w, g)
        self.m, self.v = self.m / (1 - self.beta1**self.t), self.v / (1 - self.beta2**self.t)
        return w


@wrong("adam", "with the number of the step as exponent")
class Once(Adam):
    def step(self, w, g):
        self.t = 0
        return super().step(w, g)


@wrong("adam", "not remembered from one step to the next")
class Forgetful(Adam):
    def step(self, w, g):
        self.m = self.v = 0.0
        return super().step(w, g)


@wrong("adam", "what it remembers belongs to each of them")
class Shared(Adam):
    everybodys = None

    def step(self, w, g):
        Shared.everybodys = Shared.everybodys or self
        return Adam.step(Shared.everybodys, w, g)


wrong("adam", "return w − step")(type("Alone", (Adam,), {"step": lambda self, w, g: Adam.step(self, 0 * w, g)}))
wrong("adam", "is something divided by 0?")(type("Nan", (Adam,), {"step": lambda self, w, g: w * np.nan}))
wrong("adam", "by its name alone")(Adam(0.1, 0.9, 0.999, 1e-8))


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

wrong("initial_weights", "whatever fan_out is")(lambda i, o, rng: rng.normal(size=(o, i)) / np.sqrt(o))
wrong("initial_weights", "one weight for all its inputs")(
    lambda i, o, rng: np.tile(rng.normal(size=(o, 1)), (1, i)) / np.sqrt(i)
)
wrong("initial_weights", "ask for an array")(lambda i, o, rng: rng.normal(o, i))
wrong("initial_weights", "is there a `return`")(lambda i, o, rng: None)

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
wrong("train", "no weight of `model` has moved")(loop(step=False))
wrong("train", "the cost has risen")(loop(zero=False, lr=0.2))
wrong("train", "expected at least 93 %")(loop(epochs=1, lr=0.001))


@wrong("train", "the cost has risen")
def uphill(model, X, y, rng):
    for _ in range(20):
        model.zero_grad()
        tn.cross_entropy(model(X), y).backward()
        for p in model.parameters():
            p.data += 0.1 * p.grad


@wrong("train", "zero_grad() between them")
def zeroed_at_the_wrong_moment(model, X, y, rng):
    optimizer = tn.optim.SGD(model.parameters(), lr=0.05)
    tn.cross_entropy(model(X), y).backward()
    optimizer.zero_grad()
    optimizer.step()


# --- 12

right("hessian_product")(lambda f, x, v: tn.grad(lambda x: (tn.grad(f)(x) * v).sum())(x))
wrong("hessian_product", "diagonal of the Hessian")(
    lambda f, x, v: np.array([(tn.hessian(f)(x))[i, i] * v[i] for i in range(3)])
)
wrong("hessian_product", "That is the gradient")(lambda f, x, v: tn.grad(f)(x))
wrong("hessian_product", "number vᵀ H v")(lambda f, x, v: v @ tn.hessian(f)(x) @ v)
wrong("hessian_product", "multiplied before")(lambda f, x, v: v * tn.grad(lambda x: tn.grad(f)(x).sum())(x))


wrong("hessian_product", "f was multiplied with v")(lambda f, x, v: tn.grad(lambda x: (f(x) * v).sum())(x))
wrong("hessian_product", "all of the Hessian")(lambda f, x, v: tn.hessian(f)(x) @ v)
wrong("hessian_product", "it returns a function")(lambda f, x, v: tn.grad(lambda x: (tn.grad(f)(x) * v).sum()))


@wrong("hessian_product", "all of the Hessian")
def row_by_row(f, x, v):
    slopes = [tn.grad(lambda x, i=i: tn.grad(f)(x)[i])(x) for i in range(min(len(x), 100))]
    return np.array([row @ v for row in slopes])
