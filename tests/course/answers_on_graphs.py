"""What readers write for lessons 1 to 4: solutions, and wrong answers with a word of their hint."""

import math
from collections import defaultdict

from course.marks import WRONG, right, wrong

import tinygrad_nn as tn

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
wrong("slope", "h is too large")(lambda f, x: (f(x + 1) - f(x - 1)) / 2)
wrong("slope", "it divides by 0")(lambda f, x: (f(x * (1 + 1e-5)) - f(x * (1 - 1e-5))) / (2e-5 * x))
wrong("slope", "Without brackets")(lambda f, x: f(x + 1e-5) - f(x - 1e-5) / 2e-5)
wrong("slope", "The values were added")(lambda f, x: (f(x + 1e-5) + f(x - 1e-5)) / 2e-5)
wrong("slope", "the difference alone")(lambda f, x: f(x + 1e-5) - f(x - 1e-5))
wrong("slope", "write a / (2 * h)")(lambda f, x: (f(x + 1e-5) - f(x - 1e-5)) / 2 * 1e-5)
wrong("slope", "was the result rounded?")(lambda f, x: round((f(x + 1e-5) - f(x - 1e-5)) / 2e-5, 3))
wrong("slope", "to be measured")(lambda f, x: tn.grad(f)(x))
wrong("slope", "f was never called")(lambda f, x: 2 * x)
wrong("slope", "f was called once")(lambda f, x: f(x + 1e-5) / 1e-5)
wrong("slope", "That is f itself")(lambda f, x: f(x))
wrong("slope", "That is f itself")(lambda f, x: f(x) + 0 * f(x + 1) if x else 1.0)
wrong("slope", "it returns '6', expected 0.267499. A single number is asked for.")(lambda f, x: "6")
wrong("slope", "it returns a function")(lambda f, x: f)
wrong("slope", "the arguments that the exercise names")(lambda f: 1.0)
WRONG["slope"].append(((1.0,), "by its name alone"))
WRONG["slope"].append(((), '1 of yours are asked for, not 0: course.check("slope", your code)'))

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


@wrong("chain", "last local derivative alone")
def assigned(functions, derivatives, x):
    for f, d in zip(functions, derivatives, strict=True):
        product = d(x)
        x = f(x)
    return product


wrong("chain", "return too early")(lambda functions, derivatives, x: derivatives[0](x))
wrong("chain", "x times it")(lambda functions, derivatives, x: x * chain(functions, derivatives, x))
wrong("chain", "begin with 1")(lambda functions, derivatives, x: 0 * chain(functions, derivatives, x))
wrong("chain", "A single number is asked for")(lambda functions, derivatives, x: [d(x) for d in derivatives])
wrong("chain", "The sign is turned")(lambda functions, derivatives, x: -chain(functions, derivatives, x))

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
wrong("add_paths", "its own adjoint is 1")(lambda edges, s, e: 0)
wrong("add_paths", "products of the paths were multiplied")(
    lambda edges, s, e: math.prod(map(math.prod, paths_of(edges, s, e)))
)
wrong("add_paths", "they multiply")(lambda edges, s, e: sum(map(sum, paths_of(edges, s, e))))
wrong("add_paths", "do not list paths one by one")(lambda edges, s, e: sum(map(math.prod, paths_of(edges, s, e))))


@wrong("add_paths", "are two paths")
def one_arrow_each(edges, start, end):
    return add_paths([(a, b, d) for (a, b), d in {(a, b): d for a, b, d in edges}.items()], start, end)


@wrong("add_paths", "in no particular order")
def once_over(edges, start, end):
    sums = defaultdict(float, {start: 1.0})
    for tail, head, d in edges:
        sums[head] += d * sums[tail]
    return sums[end]


@wrong("add_paths", "in no particular order")
def once_back(edges, start, end):
    return once_over([(head, tail, d) for tail, head, d in edges[::-1]], end, start)


@wrong("add_paths", "What leads nowhere counts 0")
def all_ends(edges, start, end):
    onward = [d * all_ends(edges, head, end) for tail, head, d in edges if tail == start]
    return sum(onward) if onward else 1.0


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


wrong("order", "it returns a tensor")(lambda root: root)
wrong("order", "return a list of the nodes themselves")(lambda root: [node.name for node in order(root)])
wrong("order", "does not begin with the root")(lambda root: order(root)[1:])


@wrong("order", "leaves out")
def without_leaves(root):
    return [node for node in order(root) if node.inputs]
