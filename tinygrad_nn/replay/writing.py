"""The program of a step, as Python: one line a call, every array bound to a name beforehand.

    def bind(W1, b1):                        # once: views, buffers, constants
        t1 = empty((3, 5), float64)
        W1_dot = W1.dot

        def replay(args, kwargs):            # each time
            ...                              # return MISS if something is not as it was
            W1_dot(X, t1)
            add(t1, b1, t1)
            ...

So a replay costs what its NumPy calls cost.
"""

from __future__ import annotations

import inspect
import keyword
import linecache
import operator
import re
import sys
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn.autodiff import FEW
from tinygrad_nn.mutation import clock
from tinygrad_nn.replay.blocks import THREADS, blocks, cut, empty, share
from tinygrad_nn.replay.nodes import Memory, Node, cast, cut_off, item, look_up, skeleton
from tinygrad_nn.replay.planning import TWO_THREADS, Buffer, Chain, Plan, elementwise, is_reduction
from tinygrad_nn.replay.step import BY_VALUE, Given, Owner, Result, Step, is_sequence, owners_of
from tinygrad_nn.replay.surroundings import Place
from tinygrad_nn.tensor import Tensor

__all__ = ["MISS", "Writer"]

MISS = object()  # what a replay returns that finds something changed, before it has done anything
_KEYWORD_OUT = {np.maximum, np.minimum}  # a third positional argument is deprecated there
_SIMPLE = (int, float, bool, str, type(None), type(Ellipsis))


class Writer:
    """Writes the source of a step's program; `namespace` is what the source refers to.

    `moving` are the memories that were found to be another array at another call: these are looked up each time.
    Afterwards `listing` is the part that runs at each call, `bound` the memories that `bind` takes, `compared` the
    names of what places are compared with, and `granted` the tensors that must have, or not have, a gradient.
    """

    def __init__(self, step: Step, plan: Plan, function: Callable, moving: set[Memory]):
        self.step, self.plan, self.moving = step, plan, moving
        self.namespace: dict[str, Any] = {"empty": empty, "blocks": blocks, "ndarray": np.ndarray, "MISS": MISS}
        self.bound: list[Memory] = []
        self.compared: dict[str, Place] = {}
        self._start: list[str] = []  # of bind
        self._functions: list[str] = []  # within bind
        self._body: list[str] = []  # of replay
        self._names: dict[Any, str] = {}  # of nodes, buffers and arguments
        self._static: set[Any] = set()  # nodes whose memory is the same at each replay
        self._taken: set[str] = {"args", "kwargs", "bind", "replay", *self.namespace, *keyword.kwlist}
        self._made: dict[Any, str] = {}  # what there is only once: constants, functions, bound methods
        self._scratch: dict[str, tuple[Any, int]] = {}  # memory for blocks: its dtype and size
        self._line: Any = None

        used = [m.tensor if m.argument is None else m.argument for m in step.memories if self._is_read(m, "grad")]
        self.granted = [(t, none) for t, none in step.without_gradient if none or any(t is x for x in used)]
        self._write_arguments(function)
        self._write_memories()
        self._write_overlaps()
        self._write_surroundings()
        self._write_start_of_gradients()
        for chain in plan.chains:
            self._comment(chain.calls[0])
            if len(chain.calls) > 1:
                self._write_chain(chain)
            else:
                self._body += self._statements(chain.calls[0])
        self._write_end()
        self.source = self._assembled()

    def _is_read(self, memory: Memory, kind: str) -> bool:
        return memory.kind == kind and memory.node in self.plan.live

    def _assembled(self) -> str:
        replay = ["def replay(args, kwargs):", *_indent(self._body)]
        self.listing = "\n".join(replay)
        scratch = [f"{name} = empty(({n},), {self._dtype(dtype)})" for name, (dtype, n) in self._scratch.items()]
        count = " + ".join(f"getrefcount({name})" for _, name in self._given_out) or "0"
        references = ["def references():", f"    return {count}", ""]
        inner = [*scratch, *self._start, "", *self._functions, *references, *replay, "", "return replay, references"]
        head = f"def bind({', '.join(self._names[m.node] for m in self.bound)}):"
        return "\n".join(line.rstrip() for line in [head, *_indent(inner)]) + "\n"

    def listed(self, node: Node) -> tuple[str, str]:
        """What a live value is called, and the line that computes it, with the constants written out; for pictures."""
        name = self._names.get(node) or (self._name(node) if node in self.plan.place else "")
        if node.func is None or node.base is not None:
            return name, ""
        own = name and node not in self.plan.place
        line = f"{name} = {self._call(node)}" if own else "; ".join(self._statements(node))
        made = [(key, c) for key, c in self._made.items() if isinstance(key, tuple) and key[0] == "number"]
        numbers = {c: f"{np.frombuffer(key[2], key[1])[0]:.6g}" for key, c in made}
        return name, re.sub(r"\w+", lambda word: numbers.get(word[0], word[0]), line)

    # -- names

    def _new_name(self, wish: str) -> str:
        """A name that nothing has yet."""
        wish = re.sub(r"\W+", "_", unicodedata.normalize("NFKC", wish)).strip("_") or "x"
        wish = f"_{wish}" if wish[0].isdigit() else wish
        name, n = wish, 1
        while name in self._taken:
            n += 1
            name = f"{wish}_{n}"
        self._taken.add(name)
        return name

    def _once(self, key: Any, wish: str, text: str = "", value: Any = None) -> str:
        """The name of something that is made once: by a line of `bind`, or here."""
        if key not in self._made:
            name = self._made[key] = self._new_name(wish)
            if text:
                self._start.append(f"{name} = {text}")
            else:
                self.namespace[name] = value
        return self._made[key]

    def _constant(self, value: Any, wish: str = "c") -> str:
        """The name of an object."""
        return self._once(("object", id(value)), wish, value=value)

    def _function(self, func: Any, wish: str = "") -> str:
        """The name of a function."""
        owner = getattr(func, "__self__", None)
        if isinstance(owner, np.ufunc):
            return self._once((owner, func.__name__), f"{owner.__name__}_{func.__name__}", value=func)
        return self._once(func, wish or getattr(func, "__name__", "f"), value=func)

    def _dtype(self, dtype: Any) -> str:
        """The name of a dtype."""
        return self._once(("dtype", dtype.str), dtype.name, value=dtype)

    def _owner(self, owner: Owner) -> str:
        """The name of a tensor: an argument's variable, or a constant."""
        if isinstance(owner, int):
            return self._names[self.step.arguments[owner][0]]
        return self._constant(owner, f"{owner.name or 'p'}_tensor")

    def _place(self, place: Place) -> str:
        """Python for what a place holds."""
        holder = self._constant(place.holder, place.name.rpartition(".")[0] or "place")
        if place.kind == "attribute":
            return f"{holder}.{place.key}"
        return f"{holder}.cell_contents" if place.kind == "cell" else f"{holder}[{self._text(place.key)}]"

    def _text(self, tree: Any) -> str:
        """Arguments as Python."""
        if isinstance(tree, Node):
            return self._name(tree)
        if type(tree) is tuple:
            return "(" + "".join(f"{self._text(x)}, " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self._text, tree)) + "]"
        if type(tree) is dict:
            return "{" + ", ".join(f"{self._text(k)}: {self._text(x)}" for k, x in tree.items()) + "}"
        if type(tree) is slice:
            return f"slice({self._text(tree.start)}, {self._text(tree.stop)}, {self._text(tree.step)})"
        if type(tree) is float and not np.isfinite(tree):
            return f"float('{tree}')"
        return repr(tree) if type(tree) in _SIMPLE else self._constant(tree)

    def _name(self, node: Node) -> str:
        """The variable that holds a node; views come into being where they are first needed."""
        place = self.plan.place.get(node)
        if isinstance(place, Node):
            return self._name(place)
        if isinstance(place, Buffer):
            return self._buffer(place)
        if node not in self._names:
            static = all(self._is_static(x) for x in node.inputs())
            call = self._call(node)
            count = sum(isinstance(x, Node) and x.base is not None for x in self._names)
            self._names[node] = name = self._new_name(f"v{count + 1}")
            (self._start if static else self._body).append(f"{name} = {call}")
            if static:
                self._static.add(node)
        return self._names[node]

    def _is_static(self, node: Node) -> bool:
        """Whether it is the same memory at each replay."""
        self._name(node)
        place = self.plan.place.get(node)
        return isinstance(place, Buffer) or (node if place is None else place) in self._static

    def _buffer(self, buffer: Buffer) -> str:
        """The variable that holds a buffer."""
        if buffer not in self._names:
            like, letter = buffer.like, "s" if buffer.block else "t"
            count = sum(isinstance(x, Buffer) and x.block == buffer.block for x in self._names)
            self._names[buffer] = name = self._new_name(f"{letter}{count + 1}")
            if buffer.block:
                axis, rows = cut(like.shape, like.strides, like.itemsize)
                shape = (*like.shape[:axis], min(rows, like.shape[axis]), *like.shape[axis + 1 :])
                n, memory = int(np.prod(shape)), self._once(("scratch", like.dtype.str, buffer.number), "scratch")
                self._scratch[memory] = like.dtype, max(n, self._scratch.get(memory, (None, 0))[1])
                self._start.append(f"{name} = {memory}[:{n}].reshape({shape})")
            elif _in_rows(like):
                self._start.append(f"{name} = empty({like.shape}, {self._dtype(like.dtype)})")
            else:
                layout = self._constant(skeleton(like), "layout")
                self._start.append(f"{name} = {self._function(np.empty_like)}({layout})")
        return self._names[buffer]

    # -- before the calls: is everything as it was?

    def _unless(self, wrong: list[str]) -> None:
        if wrong:
            self._body += [f"if {' or '.join(wrong)}:", "    return MISS"]
            wrong.clear()

    def _write_arguments(self, function: Callable) -> None:
        """Whether the arguments are of the kind that was recorded."""
        try:
            signature = [*inspect.signature(function).parameters.values()]
        except (TypeError, ValueError):
            signature = []
        parameters = [parameter.name for parameter in signature]
        any_names = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature)
        wrong: list[str] = []
        first: dict[int, str] = {}
        for path, x in self.step.arguments:
            kind = type(x)
            if path == "args":
                wrong.append(f"len(args) != {len(x)}")
            elif path == "kwargs":
                if x and any_names:
                    wrong.append(f"[*kwargs] != {self._text([*x])}")  # in this order
                else:
                    wrong.append(f"kwargs.keys() != {self._constant(set(x), 'names')}" if x else "kwargs")
            elif is_sequence(kind):
                kind_name = self._constant(kind, kind.__name__)
                wrong.append(f"type({path}) is not {kind_name} or len({path}) != {len(x)}")
            elif kind is dict:
                wrong.append(f"type({path}) is not dict or [*{path}] != {self._text([*x])}")
            elif isinstance(x, (np.ndarray, np.generic, Tensor)):
                self._unless(wrong)
                found = re.fullmatch(r"args\[(\d+)\]|kwargs\['(\w+)'\]", path)
                at = int(found[1]) if found and found[1] else len(parameters)
                wish = found[2] if found and found[2] else parameters[at] if at < len(parameters) else "x"
                name = self._names[path] = self._new_name(wish)
                self._body.append(f"{name} = {path}")
                kind_name, dtype = self._constant(kind, kind.__name__), self._dtype(x.dtype)
                wrong.append(f"type({name}) is not {kind_name} or {name}.shape != {x.shape}")
                wrong.append(f"{name}.dtype is not {dtype} and {name}.dtype != {dtype}")
                if isinstance(x, Tensor):
                    wrong.append(f"{name}.tracked is not {x.tracked}")
                if id(x) in first:
                    wrong.append(f"{name} is not {first[id(x)]}")
                elif kind is Tensor:
                    wrong += [
                        f"{name} is {self._names[p]}"
                        for p, y in self.step.arguments
                        if type(y) is Tensor and id(y) in first
                    ]
                first.setdefault(id(x), name)
            elif x is None or kind is bool:
                wrong.append(f"{path} is not {x}")
            elif isinstance(x, BY_VALUE):
                wrong.append(f"type({path}) is not {self._constant(kind, kind.__name__)} or {path} != {self._text(x)}")
            else:
                wrong.append(f"{path} is not {self._constant(x)}")
        self._unless(wrong)

    def _write_memories(self) -> None:
        """Names for what the calls start from."""
        other_arrays = []
        for memory in self.step.memories:
            node, tensor = memory.node, memory.tensor
            if node not in self.plan.live:
                continue
            if memory.argument is not None:
                self._names[node] = name = self._owner(memory.argument)
                if memory.kind != "argument":
                    self._names[node] = self._new_name(f"{name}_{memory.kind}")
                    self._body.append(f"{self._names[node]} = {name}.{memory.kind}")
            elif memory.kind == "constant":
                self._names[node] = self._constant(memory.array, "k")
                self._static.add(node)
            else:
                wish, text = "k", ""  # if it is a view of something that is found
                if tensor is not None:
                    wish = (tensor.name or "p") + ("_grad" if memory.kind == "grad" else "")
                    text = f"{self._owner(tensor)}.{memory.kind}"
                elif memory.place is not None:
                    wish, text = memory.place.name.rpartition(".")[2], self._place(memory.place)
                name = self._names[node] = self._new_name(wish)
                if memory.kind == "grad":
                    self._body.append(f"{name} = {text}")
                elif memory in self.moving:
                    shape, dtype = memory.array.shape, self._dtype(memory.array.dtype)
                    self._body.append(f"{name} = {text}")
                    self._unless([f"type({name}) is not ndarray or {name}.shape != {shape} or {name}.dtype != {dtype}"])
                else:
                    self.bound.append(memory)
                    self._static.add(node)
                    other_arrays += [f"{text} is not {name}"] * bool(text)
        self._changed = other_arrays

    def _write_overlaps(self) -> None:
        """Whether an argument shares memory with what the step writes to.  Most are seen not to by who owns them."""
        pairs = [(a, b) for a, b in self.step.could_overlap() if a.node in self._names and b.node in self._names]
        wrong: list[str] = []
        for array in dict.fromkeys(a for a, _ in pairs):
            x, others = self._names[array.node], [self._names[b.node] for a, b in pairs if a is array]
            fixed = [b for b in others if b in {self._names[m.node] for m in self.bound}]
            moving = [b for b in others if b not in fixed]
            share = self._function(np.may_share_memory)
            wrong += [f"{share}({x}, {b})" for b in moving]
            if fixed:
                given = f"[{', '.join(fixed)}]"
                owners = self._once(("owners", given), "owners", f"{self._function(owners_of)}({given})")
                any_shared = " or ".join(f"{share}({x}, {b})" for b in fixed)
                wrong.append(f"(id({x}.base) in {owners} or id({x}) in {owners}) and ({any_shared})")
        self._unless(wrong)

    def _write_surroundings(self) -> None:
        """Whether something has changed that the recorded run could see."""
        surroundings, changed = self.step.surroundings, self._changed
        elsewhere = {id(m.place) for m in self.step.memories} | {id(place) for place in surroundings.numbers}
        for place in surroundings.places:
            if id(place) not in elsewhere:
                value = self._once(("place", id(place)), "c", value=place.value)
                self.compared[value] = place
                if place.kind in _COMPARED:
                    holder = self._constant(place.holder, "place")
                    changed.append(_COMPARED[place.kind].format(holder, value))
                    if place.kind == "numbers":  # 1.0 is not 1, and 0.0 not -0.0
                        self.namespace["is_not"] = operator.is_not
                else:
                    changed.append(f"{self._place(place)} is not {value}")
        changed += [f"type({self._place(place)}) is not float" for place in surroundings.numbers]
        changed += [f"{self._owner(tensor)}.tracked is not {tracked}" for tensor, tracked in self.step.tracked]
        changed += [_is_none(self._owner(t), not none) for t, none in self.granted if isinstance(t, Tensor)]
        wrong = [_is_none(self._owner(t), not none) for t, none in self.granted if isinstance(t, int)]
        wrong += [f"{self._owner(argument)} is not {self._constant(x)}" for argument, x in surroundings.aliases]
        if changed:
            conditions = [f"        or {condition}" for condition in changed]
            conditions[0] = conditions[0].replace("or ", "", 1)
            self._functions += ["def changed():", "    try:", "        return (", *_indent(conditions), "        )"]
            self._functions += ["    except (AttributeError, LookupError, ValueError):", "        return True", ""]
            wrong.append("changed()")
        self._unless(wrong)

    def _write_start_of_gradients(self) -> None:
        """Who still holds a gradient of an earlier replay shall keep it: then other buffers are due."""
        owners: dict[str, str] = {}  # one for each buffer: others with the same gradient get a copy
        for owner, node in self.step.gradients:
            if node is not None and isinstance(self.plan.place.get(node), Buffer):
                owners.setdefault(self._name(node), self._owner(owner))
        self._given_out = [(owner, name) for name, owner in owners.items()]
        if self._given_out:
            self.namespace["getrefcount"] = sys.getrefcount
            self._body.append("".join(f"{owner}.grad = " for owner, _ in self._given_out) + "None")
            self._unless(["references() != at_rest"])

    # -- the calls

    def _comment(self, call: Node) -> None:
        if call.line != self._line:
            self._line = call.line
            text = linecache.getline(*call.line).strip()
            self._body.append(f"# line {call.line[1]} of {Path(call.line[0]).name}" + (f": {text}" if text else ""))

    def _statements(self, call: Node) -> list[str]:
        """What computes a call into its place."""
        if call in self.plan.effects:
            return [self._call(call)]
        if call not in self.plan.place:
            text = self._call(call)
            self._names[call] = name = self._new_name("r")
            return [f"{name} = {text}"]
        out, func = self._name(call), call.func
        if func is look_up:
            return [f"{out}[()] = {self._place(call.args[0])}"]
        if func is np.where:
            condition, a, b = (self._operand(call, i) for i in range(3))
            copyto = self._function(np.copyto)
            return [f"{copyto}({out}, {b})"] * (b != out) + [f"{copyto}({out}, {a}, where={condition})"]
        if func is cast:
            return [f"{self._function(np.copyto)}({out}, {self._name(call.args[0])}, 'unsafe')"]
        if elementwise(call):
            given = ", ".join(self._operand(call, i) for i in range(len(call.args)))
            return [f"{self._function(func)}({given}, {'out=' * (func in _KEYWORD_OUT)}{out})"]
        if func is np.matmul and _for_blas(call):
            a, b = call.args
            return [f"{self._method(a, 'dot')}({self._name(b)}, {out})"]
        return [self._reduction(call, out) if is_reduction(call) else self._call(call, out)]

    def _call(self, node: Node, out: str = "") -> str:
        """Any call, as it was recorded."""
        if node.func in _METHODS and not node.kwargs and isinstance(node.args[0], Node) and not out:
            array, *rest = [self._text(x) for x in node.args]
            text = _METHODS[node.func].get(len(rest))
            if text is not None:  # quicker than NumPy's function
                return text.format(array, *rest)
        given = [self._text(x) for x in node.args] + [f"{k}={self._text(x)}" for k, x in node.kwargs.items()]
        return f"{self._function(node.func, node.name)}({', '.join(given + [f'out={out}'] * bool(out))})"

    def _operand(self, call: Node, i: int) -> str:
        """An operand of an elementwise call."""
        x = call.args[i]
        if isinstance(x, Node):
            return self._name(x)
        if isinstance(x, np.generic):
            return self._number(x, x.dtype)
        if isinstance(call.func, np.ufunc) and type(x) in (int, float, bool):
            kinds = [a.sample.dtype if isinstance(a, Node) else getattr(a, "dtype", type(a)) for a in call.args]
            return self._number(x, call.func.resolve_dtypes((*kinds, None))[i])
        return (
            self._number(x, call.sample.dtype) if call.func is np.where and type(x) in (int, float) else self._text(x)
        )

    def _number(self, value: Any, dtype: Any) -> str:
        """A constant operand as an array of no dimensions: that spares NumPy the conversion at each call."""
        x = np.array(value, dtype)
        self.namespace["array"] = np.array
        count = sum(isinstance(key, tuple) and key[0] == "number" for key in self._made)
        text = f"array({self._text(x.item())}, {self._dtype(x.dtype)})"
        return self._once(("number", x.dtype.str, x.tobytes()), f"c{count + 1}", text)

    def _method(self, node: Node, method: str) -> str:
        """A method of an array, bound beforehand where the array stays the same."""
        name = self._name(node)
        text = f"{name}.{method}"
        return self._once((name, method), f"{name}_{method}", text) if self._is_static(node) else text

    def _reduction(self, call: Node, out: str) -> str:
        """A sum, a maximum ...; in float32, a product with a vector of ones is the quickest sum of rows."""
        (x,), axis, keepdims = call.args, call.kwargs.get("axis"), call.kwargs.get("keepdims", False)
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        like = x.sample
        if (
            call.func.__self__ is np.add
            and axis in (1, -1)
            and like.ndim == 2
            and like.dtype == np.float32
            and 0 < like.shape[1] <= FEW
            and like.size
        ):
            n, dtype = like.shape[1], self._dtype(like.dtype)
            ones = self._once(("ones", n), f"ones_{n}", f"{self._function(np.ones)}({n}, {dtype})")
            if keepdims:
                text = f"{out}.reshape(-1)"
                out = self._once((out, "flat"), f"{out}_flat", text) if self._is_static(call) else text
            return f"{self._method(x, 'dot')}({ones}, {out})"
        return f"{self._function(call.func)}({self._name(x)}, {self._text(axis)}, None, {out}, {keepdims})"

    def _write_chain(self, chain: Chain) -> None:
        """A chain becomes a function of its blocks."""
        lines = [line for call in chain.calls for line in self._statements(call)]
        arrays: dict[str, bool] = {}
        scratch: dict[str, None] = {}
        for x in (x for call in chain.calls for x in (*call.inputs(), call)):
            place = self.plan.place.get(x)
            if isinstance(place, Buffer) and place.block:
                scratch[self._name(x)] = None
            elif x.sample.ndim or not self._is_static(x):
                arrays[self._name(x)] = self._is_static(x)
        name, like = self._new_name("chain"), chain.calls[0].sample
        two = THREADS > 1 and len(chain.calls) * like.nbytes >= TWO_THREADS
        own = [list(scratch)]
        if two:
            empty_like = self._function(np.empty_like)
            own.append([self._once((s, "too"), f"{s}_too", f"{empty_like}({s})") for s in scratch])
        layout = f"{like.shape}, {like.strides}, {like.itemsize}, [{', '.join(arrays)}]"
        made = [f"blocks({layout}, [{', '.join(some)}])" for some in own]
        lines = ["for turn in turns:", f"    {', '.join([*arrays, *scratch])}, = blocks[turn]", *_indent(lines)]
        self._functions += [f"def {name}(blocks, turns):", *_indent(lines), ""]
        if all(arrays.values()):
            for i, text in enumerate(made):
                made[i] = self._new_name(f"{name}_blocks")
                self._functions += [f"{made[i]} = {text}", ""]
        if two:
            self._body.append(f"{self._function(share)}({name}, {', '.join(made)})")
        else:
            axis, rows = cut(like.shape, like.strides, like.itemsize)
            self._body.append(f"{name}({made[0]}, range({-(-like.shape[axis] // rows)}))")

    # -- after the calls

    def _write_end(self) -> None:
        """Results first: they may be what is about to be overwritten."""
        result = self._returned(self.step.result)
        if result != "None":
            self._body.append(f"result = {result}")
        copyto, saved = self._function(np.copyto), {}
        for _, value in self.plan.stores:
            if value.root() in self.plan.written:
                saved[value] = self._new_name("old")
                self._body.append(f"{saved[value]} = {self._name(value)}.copy()")
        for memory, value in self.plan.stores:
            self._body.append(f"{copyto}({self._name(memory)}, {saved.get(value) or self._name(value)})")
        given_out = dict(self._given_out)
        for owner, node in self.step.gradients:
            name = self._owner(owner)
            if node is None:
                self._body.append(f"{name}.grad = None")
            elif given_out.get(name) == self._name(node):
                self._body.append(f"{name}.grad = {self._name(node)}")
            else:
                self._body.append(f"{name}.grad = {self._function(np.array)}({self._name(node)})")
        self._write_changes()
        self._body.append("return None" if result == "None" else "return result")

    def _write_changes(self) -> None:
        """Tensors that were written to know it, so that a graph recorded before does not use the new values."""
        watches = []
        for memory in self.step.memories:
            if memory.node in self.plan.written and memory.kind == "value":
                if memory.argument is not None:
                    self._body.append(f"{self._owner(memory.argument)}.changed()")
                elif memory.tensor is not None:
                    name = self._owner(memory.tensor)
                    watches.append(self._once((name, "watch"), name.replace("tensor", "watch"), f"{name}.watch"))
        if watches:
            self.namespace["clock"] = clock
            self._body.append("".join(f"{w}.changed = " for w in watches) + "next(clock)")
            self._body.append(f"if {' or '.join(f'{w}.exposed' for w in watches)}:")
            self._body += [f"    {w}.change()" for w in watches]

    def _returned(self, tree: Any) -> str:
        """What the step returns, as Python: fresh arrays, that nobody else will write to."""
        if isinstance(tree, Result):
            name = self._name(tree.node)
            text = f"{name}[()]" if tree.node.scalar else f"{name}.copy()"
            if tree.tracked:
                return f"{self._function(cut_off)}({text}, {tree.name!r})"
            return f"{self._function(Tensor)}({text}, False, {tree.name!r})" if tree.is_tensor else text
        if isinstance(tree, Given):
            return self._owner(tree.argument)
        if type(tree) is tuple:
            return "(" + "".join(f"{self._returned(x)}, " for x in tree) + ")"
        if type(tree) is list:
            return "[" + ", ".join(map(self._returned, tree)) + "]"
        if is_sequence(type(tree)):
            return f"{self._function(type(tree))}({', '.join(map(self._returned, tree))})"
        if type(tree) is dict:
            return "{" + ", ".join(f"{self._text(k)}: {self._returned(x)}" for k, x in tree.items()) + "}"
        return self._text(tree)


_COMPARED = {  # what is compared of a place with many values: with what it was
    "length": "len({0}) != {1}",
    "attributes": "len({0}.__dict__) != {1}",
    "members": "{0} != {1}",
    "bytes": "{0}.tobytes() != {1}",
    "keys": "[*{0}] != {1}",
    "numbers": "len({0}) != len({1}) or any(map(is_not, {0}, {1}))",
}

_METHODS: dict[Any, dict[int, str]] = {  # by the number of arguments behind the array
    np.transpose: {0: "{0}.T"},
    np.ravel: {0: "{0}.ravel()"},
    np.reshape: {1: "{0}.reshape({1})"},
    item: {1: "{0}[{1}]"},
}


def _indent(lines: Sequence[str]) -> list[str]:
    return [f"    {line}" for line in lines]


def _is_none(tensor: str, none: bool) -> str:
    return f"{tensor}.grad is {'' if none else 'not '}None"


def _in_rows(x: Any) -> bool:
    return np.empty(x.shape, np.bool_).strides == tuple(s // x.itemsize for s in x.strides)


def _for_blas(call: Node) -> bool:
    """Whether it is a product that `ndarray.dot` can do as well, with half the overhead."""
    if not all(isinstance(x, Node) for x in call.args):
        return False
    a, b, y = (x.sample for x in (*call.args, call))
    if not (a.dtype == b.dtype == y.dtype and y.dtype in (np.float32, np.float64)):
        return False
    return a.ndim in (1, 2) and b.ndim in (1, 2) and a.size and b.size and (not y.ndim or y.flags.c_contiguous)
