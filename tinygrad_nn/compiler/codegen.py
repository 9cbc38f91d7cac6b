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
import linecache
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_nn import tree
from tinygrad_nn.away import here
from tinygrad_nn.compiler.calls import Calls, indent
from tinygrad_nn.compiler.captured import ABSENT, PLAIN, Watched
from tinygrad_nn.compiler.ir import ArrayInput, NanError, Node, look_up, without_history
from tinygrad_nn.compiler.memory_plan import Buffer, FusedLoop, MemoryPlan
from tinygrad_nn.compiler.step import Given, Owner, Result, Step, owners_of
from tinygrad_nn.mutation import clock
from tinygrad_nn.tensor import Lent, Tensor

__all__ = ["FAILED", "MISS", "CodeGenerator"]

MISS = object()  # what a replay returns that finds something changed, or a NaN, before it has done anything
FAILED = object()  # what it returns where a call has raised an error, before anything was changed


class CodeGenerator(Calls):
    """Writes the source of a step's program; `namespace` is what the source refers to.

    `rebound` are the inputs that were found to be another array at another call: these are looked up each time.
    Afterwards `listing` is the part that runs at each call, `bound` the inputs that `bind` takes, and
    `gradient_presence` the tensors that must have, or not have, a gradient.
    """

    def __init__(self, step: Step, plan: MemoryPlan, function: Callable, rebound: set[ArrayInput]):
        super().__init__(plan)
        self.namespace |= {"MISS": MISS, "FAILED": FAILED, "here": here}
        self._late: list[Node] = []  # effects that see what the step has changed
        self.step, self.rebound = step, rebound
        self.bound: list[ArrayInput] = []
        self._line: Any = None
        self.gradient_presence = step.without_gradient
        self._write_arguments(function)
        changed = self._write_inputs()
        self._write_overlaps()
        self._unless([f"{self._memory(a)} is not {self._memory(b)}" for a, b in self.step.shared])
        self._write_captured(changed)
        self._write_calls()
        self._write_end()
        self.source = self._assembled()

    def _assembled(self) -> str:
        replay = ["def replay(args, kwargs):", *indent(self.body)]
        self.listing = "\n".join(replay)
        scratch = [f"{name} = empty(({n},), {self.dtype(dtype)})" for name, (dtype, n) in self.scratch.items()]
        inner = [*scratch, *self.start, "", *self.functions, *replay, "", "return replay"]
        head = f"def bind({', '.join(self.names[of.node] for of in self.bound)}):"
        return "\n".join(line.rstrip() for line in [head, *indent(inner)]) + "\n"

    def listed(self, node: Node) -> tuple[str, str]:
        """What a live value is called, and the line that computes it, with the constants written out; for pictures."""
        name = self.names.get(node) or (self.name_of(node) if node in self.plan.place else "")
        if node.func is None or node.base is not None:
            return name, ""
        own = name and node not in self.plan.place
        return name, self.spelled_out(f"{name} = {self.call(node)}" if own else "; ".join(self.statements(node)))

    def _owner(self, owner: Owner) -> str:
        """The name of a tensor: an argument's variable, or a constant."""
        if isinstance(owner, int):
            return self.names[self.step.arguments[owner][0]]
        return self.constant(owner, f"{owner.name or 'p'}_tensor")

    # -- before the calls: is everything as it was?

    def _unless(self, wrong: list[str]) -> None:
        if wrong:
            self.body += [f"if {' or '.join(wrong)}:", "    return MISS"]
            wrong.clear()

    def _write_arguments(self, function: Callable) -> None:
        """Whether the arguments are of the kind that was recorded."""
        parameters = _parameters(function)
        names = [parameter.name for parameter in parameters]
        any_names = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        wrong: list[str] = []
        first: dict[int, str] = {}
        for path, x in self.step.arguments:
            kind = type(x)
            if path == "args":
                wrong.append(f"len(args) != {len(x)}")
            elif path == "kwargs":
                if x and any_names:
                    wrong.append(f"[*kwargs] != {self.text([*x])}")  # in this order
                else:
                    wrong.append(f"kwargs.keys() != {self.constant(set(x), 'names')}" if x else "kwargs")
            elif kind is dict:
                wrong.append(f"type({path}) is not dict or [*{path}] != {self.text([*x])}")
            elif tree.is_plain(x):
                wrong.append(f"type({path}) is not {self.constant(kind, kind.__name__)} or len({path}) != {len(x)}")
            elif isinstance(x, (np.ndarray, np.generic, Tensor)):
                self._unless(wrong)
                wrong += self._conditions_of_array(path, x, names, first)
            elif x is None or kind is bool:
                wrong.append(f"{path} is not {x}")
            elif isinstance(x, (float, complex, range)):
                wrong.append(f"type({path}) is not {self.constant(kind, kind.__name__)} or repr({path}) != {repr(x)!r}")
            elif isinstance(x, PLAIN):
                wrong.append(f"type({path}) is not {self.constant(kind, kind.__name__)} or {path} != {self.text(x)}")
            else:
                wrong.append(f"{path} is not {self.constant(x)}")
        self._unless(wrong)

    def _conditions_of_array(self, path: str, x: Any, names: list[str], first: dict[int, str]) -> list[str]:
        found = re.fullmatch(r"args\[(\d+)\]|kwargs\['(\w+)'\]", path)
        at = int(found[1]) if found and found[1] else len(names)
        name = self.new_name(found[2] if found and found[2] else names[at] if at < len(names) else "x")
        self.names[path] = name
        self.body.append(f"{name} = {path}")
        kind_name, dtype = self.constant(type(x), type(x).__name__), self.dtype(x.dtype)
        wrong = [f"type({name}) is not {kind_name} or {name}.shape != {x.shape}"]
        if x.ndim:  # sums along other strides have other last digits
            array, value = (f"{name}._value", x._value) if isinstance(x, Tensor) else (name, x)
            wrong.append(f"{array}.strides != {value.strides}")
        wrong.append(f"{name}.dtype is not {dtype} and {name}.dtype != {dtype}")
        if isinstance(x, Tensor):
            wrong.append(f"{name}.tracked is not {x.tracked}")
            wrong += [f"{name}.op is not None and {name}.tracked"] * x.tracked
        if id(x) in first:
            wrong.append(f"{name} is not {first[id(x)]}")
        elif type(x) is Tensor:
            tensors = [p for p, y in self.step.arguments if type(y) is Tensor and id(y) in first and p in self.names]
            wrong += [f"{name} is {self.names[p]}" for p in tensors]
        first.setdefault(id(x), name)
        return wrong

    def _write_inputs(self) -> list[str]:
        """Names for what the calls start from; returns the conditions under which it is other arrays."""
        changed = []
        for of in self.step.inputs:
            node, tensor = of.node, of.tensor
            if node not in self.plan.live:
                continue
            if of.kind == "grad":
                owner = self._owner(of.argument if of.argument is not None else tensor)  # type: ignore[arg-type]
                self.names[node] = name = self.new_name(owner.replace("_tensor", "") + "_grad")
                self.namespace["gradient"] = _gradient
                self.body.append(f"{name} = gradient({owner})")
                self._unless(self._conditions_of_layout(name, of.array))
            elif of.argument is not None:
                self.names[node] = name = self._owner(of.argument)
                if of.kind == "value":
                    self.names[node] = self.new_name(f"{name}_value")
                    self.body.append(f"{self.names[node]} = {self._value_of(name)}")
            else:
                changed += self._name_held(of)
        return changed

    def _value_of(self, tensor: str) -> str:
        """The value of an argument, which another engine may have left on a device."""
        return f"here({tensor}._value)"

    def _name_held(self, of: ArrayInput) -> list[str]:
        """Name an array that is no argument."""
        wish, text, tensor = of.name or "k", "", of.tensor
        if tensor is not None:
            wish, text = tensor.name or "p", f"{self._owner(tensor)}._value"
        name = self.names[of.node] = self.new_name(wish)
        if of in self.rebound:
            self.body.append(f"{name} = {text}")
            self._unless(self._conditions_of_layout(name, of.array))
            return []
        self.bound.append(of)
        self.static.add(of.node)
        return [f"{text} is not {name}"] * bool(text)

    def _memory(self, of: ArrayInput) -> str:
        """The array that an input is, as Python."""
        if of.kind == "value":
            return f"{self._owner(of.argument if of.argument is not None else of.tensor)}._value"  # type: ignore[arg-type]
        return self._owner(of.argument) if of.argument is not None else self.constant(of.array)

    def _conditions_of_layout(self, name: str, x: np.ndarray) -> list[str]:
        """When an array is not like one."""
        wrong = [f"type({name}) is not ndarray or {name}.shape != {x.shape} or {name}.dtype != {self.dtype(x.dtype)}"]
        return wrong + [f"{name}.strides != {x.strides}"] * bool(x.ndim)

    def _write_overlaps(self) -> None:
        """Whether an argument shares memory with what the step writes to.  Most are seen not to by who owns them."""
        pairs = [
            (a, b) for a, b in self.step.could_overlap(self.rebound) if a.node in self.names and b.node in self.names
        ]
        wrong: list[str] = []
        for array in dict.fromkeys(a for a, _ in pairs):
            x, others = self.names[array.node], [self.names[b.node] for a, b in pairs if a is array]
            fixed = [b for b in others if b in {self.names[of.node] for of in self.bound}]
            share = self.function(np.may_share_memory)
            wrong += [f"{share}({x}, {b})" for b in others if b not in fixed]
            if fixed:
                given = f"[{', '.join(fixed)}]"
                owners = self.once(("owners", given), "owners", f"{self.function(owners_of)}({given})")
                any_shared = " or ".join(f"{share}({x}, {b})" for b in fixed)
                wrong.append(
                    f"({x}.base is not None or id({x}) in {owners}) and not {owners}.isdisjoint("
                    f"{self.function(owners_of)}([{x}])) and ({any_shared})"
                )
        self._unless(wrong)

    def _write_captured(self, changed: list[str]) -> None:
        """Whether something has changed that the step captures."""
        captured = self.step.captured
        for module in captured.modules[:1]:
            changed.append(f"{self.constant(module, 'module')}.changes != {self.once('changes', 'changes')}")
        for watched in (watched for watched in captured.watched if watched.compared):
            if watched.kind in ("cell", "items"):
                for i, value in enumerate(self._values(watched)):
                    changed.append(f"{value} is not {self.once(('value', id(watched), i), 'c')}")
            elif watched.kind == "places":
                holder, values = self.constant(watched.holder, watched.name), watched.values
                changed.append(f"len({holder}) != {len(values)}")
                changed += [f"{holder}[{i}] is not {self.constant(value, 'c')}" for i, value in enumerate(values)]
            elif watched.snapshot is not None:
                items = self.once(("value", id(watched), None), "items")
                changed.append(f"{self.constant(watched.holder, watched.name)} != {items}")
            elif watched.kind != "module":
                changed.append(f"not {self.constant(watched, 'watched')}.same()")
        for name, array, before in captured.arrays:
            changed.append(f"{self.constant(array, name)}.tobytes() != {self.constant(before, 'before')}")
        for setting in dict.fromkeys(call.args[0] for call in self.plan.calls() if call.func is look_up):
            number = self.looked_up(setting)  # of 0, a rule leaves something out
            changed.append(f"type({number}) is not float or not {number}")
        changed += [f"{self._owner(tensor)}.tracked is not {tracked}" for tensor, tracked in self.step.tracked]
        changed += [_is_none(self._owner(t), not none) for t, none in self.gradient_presence if isinstance(t, Tensor)]
        wrong = [_is_none(self._owner(t), not none) for t, none in self.gradient_presence if isinstance(t, int)]
        wrong += [f"{self._owner(argument)} is not {self.constant(x)}" for argument, x in self.step.aliases]
        if changed:
            conditions = [f"        or {condition}" for condition in changed]
            conditions[0] = conditions[0].replace("or ", "", 1)
            self.functions += ["def changed():", "    try:", "        return (", *indent(conditions), "        )"]
            self.functions += ["    except (AttributeError, LookupError, ValueError):", "        return True", ""]
            wrong.append("changed()")
        self._unless(wrong)

    def _values(self, watched: Watched) -> list[str]:
        """Python for each captured value of a cell, or of items."""
        holder = self.constant(watched.holder, watched.name or "globals")
        if watched.kind == "cell":
            return [f"{holder}.cell_contents"]
        absent = self.constant(ABSENT, "absent")
        return [
            f"{holder}[{self.text(key)}]" if value is not ABSENT else f"{holder}.get({self.text(key)}, {absent})"
            for key, value in zip(watched.keys, watched.values, strict=True)
        ]

    def bind_captured(self) -> None:
        """Compare with the captured values of this moment."""
        captured = self.step.captured
        if captured.modules:
            self.namespace[self._made["changes"]] = captured.modules[0].changes
        for watched in captured.watched:
            for i, value in [*enumerate(watched.values), (None, watched.snapshot)]:
                name = self._made.get(("value", id(watched), i))
                if name:
                    self.namespace[name] = value

    # -- the calls

    def _comment(self, call: Node) -> None:
        if call.line != self._line:
            self._line = call.line
            text = linecache.getline(*call.line).strip()
            self.body.append(f"# line {call.line[1]} of {Path(call.line[0]).name}" + (f": {text}" if text else ""))

    def _write_calls(self) -> None:
        """All calls, but for effects that come after all changes."""
        start, changed = len(self.body), max((value.index for value in self.plan.written.values()), default=-1)
        for loop in self.plan.loops:
            if loop.calls[0] in self.plan.effects and loop.calls[0].index > changed:
                self._late.append(loop.calls[0])
                continue
            self.write_calls(loop)
        self.end_calls()
        if self.plan.last_risk >= 0:
            self._write_way_back(start)

    def write_calls(self, loop: FusedLoop) -> None:
        """The calls of a loop."""
        self._comment(loop.calls[0])
        if len(loop.calls) > 1:
            self.write_loop(loop)
        else:
            self.body += self.statements(loop.calls[0])

    def end_calls(self) -> None:
        """All calls are written, but for those that come behind the changes."""

    def first_outcome(self, drawn: Any, compare: Any) -> Any:
        """What the recorded call returns: as NumPy has computed it; an engine that rounds otherwise computes it, too.

        `drawn` has the random numbers of that call; `compare` is given what the engine has computed.
        """
        return self.step.outcome

    def _write_way_back(self, start: int) -> None:
        """When one of the calls raises an error, nothing has been changed but Generators, which are put back."""
        before, back = [], []
        for generator in self.step.generators if self.step.draws else ():
            if isinstance(generator, np.random.RandomState):  # a step that draws from one is refused
                continue
            bits, state = self.constant(generator, "bits"), self.new_name("state")
            before.append(f"{state} = {bits}.state")
            back.append(f"    {bits}.state = {state}")
        self.namespace["NanError"] = NanError
        missed = ["except NanError:", *back, "    return MISS"] if self.step.checks else []
        self.body[start:] = [
            *before, "try:", *indent(self.body[start:]), *missed, "except Exception:", *back, "    return FAILED",
        ]  # fmt: skip

    # -- after the calls

    def _write_end(self) -> None:
        """Results first: they may be what is about to be overwritten."""
        result = self._returned(self.step.result)
        if result != "None":
            self.body.append(f"result = {result}")
        copyto, saved = self.function(np.copyto), {}
        for _, value in self.plan.stores:
            if value.root() in self.plan.written:
                saved[value] = self.new_name("old")
                self.body.append(f"{saved[value]} = {self.name_of(value)}.copy()")
        for node, value in self.plan.stores:
            self.body.append(f"{copyto}({self.name_of(node)}, {saved.get(value) or self.name_of(value)})")
        for owner, gradient in self.step.gradients:
            self.body.append(f"{self._owner(owner)}._grad = {self._gradient_given(owner, gradient)}")
        self._write_changes()
        for call in self._late:
            self._comment(call)
            self.body += self.statements(call)
        self.body.append("return None" if result == "None" else "return result")

    def _gradient_given(self, owner: Owner, node: Node | None) -> str:
        """A gradient in a buffer is lent, and copied when somebody reads it: nobody else sees the buffer."""
        if node is None:
            return "None"
        if isinstance(owner, Tensor) and isinstance(self.plan.place.get(node), Buffer):
            name = self.name_of(node)
            return self.once((name, "lent"), f"{name}_lent", f"{self.function(Lent)}({name})")
        return f"{self.function(np.array)}({self.name_of(node)})"

    def _write_changes(self) -> None:
        """Tensors that were written to know it, so that a graph recorded before does not use the new values."""
        watches = []
        for of in self.step.inputs:
            if of.node in self.plan.written and of.kind == "value":
                if of.argument is not None:
                    self.body.append(f"{self._owner(of.argument)}.changed()")
                elif of.tensor is not None:
                    name = self._owner(of.tensor)
                    watches.append(self.once((name, "watch"), name.replace("tensor", "watch"), f"{name}.watched()"))
        if watches:
            self.namespace["clock"] = clock
            self.body.append("".join(f"{w}.changed = " for w in watches) + "next(clock)")
            self.body.append(f"if {' or '.join(f'{w}.exposed' for w in watches)}:")
            self.body += [f"    {w}.change()" for w in watches]

    def _returned(self, result: Any) -> str:
        """What the step returns, as Python: fresh arrays, that nobody else will write to."""
        if isinstance(result, Result):
            name = self.name_of(result.node)
            text = f"{name}[()]" if result.node.scalar else f"{name}.copy()"
            if result.tracked:
                return f"{self.function(without_history)}({text}, {result.name!r})"
            return f"{self.function(Tensor)}({text}, False, {result.name!r})" if result.is_tensor else text
        if isinstance(result, Given):
            return self._owner(result.argument)
        kind = type(result)
        if kind is tuple:
            return "(" + "".join(f"{self._returned(x)}, " for x in result) + ")"
        if kind is list:
            return "[" + ", ".join(map(self._returned, result)) + "]"
        if kind is dict:
            return "{" + ", ".join(f"{self.text(k)}: {self._returned(x)}" for k, x in result.items()) + "}"
        if tree.is_plain(result):
            return f"{self.function(kind)}({', '.join(map(self._returned, result))})"
        return self.text(result)


def _gradient(tensor: Tensor) -> Any:
    """The gradient that a tensor has, lent or not."""
    grad = tensor._grad
    return grad.array if isinstance(grad, Lent) else grad


def _parameters(function: Callable) -> list[inspect.Parameter]:
    try:
        return [*inspect.signature(function).parameters.values()]
    except (TypeError, ValueError):
        return []


def _is_none(tensor: str, none: bool) -> str:
    return f"{tensor}._grad is {'' if none else 'not '}None"
