"""Optimizer: an update rule, the parameters it is applied to, and what it remembers about each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from tinygrad_nn.errors import ShapeError, gradient_shape_error, label
from tinygrad_nn.replay import at_each_replay
from tinygrad_nn.tensor import Tensor

__all__ = ["Group", "Optimizer", "State", "elementwise"]

Group = dict[str, Any]


class State(dict[str, np.ndarray]):
    """What is remembered about one parameter: arrays by name, which stay the same arrays for ever."""

    def __missing__(self, key: str) -> np.ndarray:
        raise RuntimeError(
            f"nothing is remembered as {key!r}: the setting that needs it was off when the optimiser was made; "
            "make a new optimiser with it on"
        )


# --- parameters that are stepped together ----------------------------------------------------------------------------


class Alone:
    """A parameter that is stepped by itself."""

    def __init__(self, p: Tensor, state: State):
        self.p, self.state = p, state

    def step(self, rule: Callable, group: Group) -> None:
        """Apply the rule, if there is a gradient."""
        p, g = self.p, self.p.grad
        if g is not None:
            if getattr(g, "shape", None) != p.value.shape:
                raise gradient_shape_error(p)
            change, new = rule(p.value, g, self.state, group)
            p.value -= change
            p.changed()
            if new:
                for name, value in new.items():
                    self.state[name][...] = value


def elementwise(rule: Callable) -> Callable:
    """Decorator of a rule that treats each element by itself, so that small parameters can be stepped as one vector.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class SignMomentum(tn.optim.Optimizer):
    ...     @staticmethod
    ...     @tn.optim.elementwise
    ...     def rule(p, g, state, group):
    ...         velocity = 0.9 * state["velocity"] + g
    ...         return group["lr"] * np.sign(velocity), {"velocity": velocity}
    ...
    ...     def _initial(self, p, group):
    ...         return {"velocity": np.zeros_like(p)}
    >>> w, b = (tn.tensor(value, requires_grad=True) for value in ([1.0, 2.0], 3.0))
    >>> optimizer = SignMomentum([w, b], lr=0.5)
    >>> (w.sum() + b * b).backward()
    >>> optimizer.step()
    >>> w.tolist(), b.item()
    ([0.5, 1.5], 2.5)
    """
    rule.elementwise = True  # type: ignore[attr-defined]
    return rule


class Pack:
    """Small parameters of one dtype, stepped as one vector: a call of NumPy costs as much as hundreds of its elements.

    The rule treats each element by itself, so that the result is the same to the last bit.  What is remembered of each
    parameter is a stretch of one vector, too; single numbers, such as the count of steps, are the elements of another,
    and while all are `alike` the first of them stands for all.
    """

    def __init__(self, params: tuple[Tensor, ...], states: tuple[State, ...]):
        self.params, self.states = params, states
        self.dtype, self.shapes = params[0].dtype, tuple([p.shape for p in params])
        ends = list(accumulate([p.size for p in params], initial=0))
        self.parts = tuple([slice(*ends[i : i + 2]) for i in range(len(params))])
        self.vectors, self.single, self.alike = State(), set(), True
        for name in states[0]:
            arrays = [state[name] for state in states]
            self.vectors[name] = vector = np.concatenate([a.ravel() for a in arrays])
            if any(a.shape != p.shape for a, p in zip(arrays, params, strict=True)):
                self.single.add(name)
            for i, (state, part) in enumerate(zip(states, self.parts, strict=True)):
                part = slice(i, i + 1) if name in self.single else part
                state[name] = vector[part].reshape(state[name].shape)

    def step(self, rule: Callable, group: Group) -> None:
        """Apply the rule to all at once, or, where that cannot be, to each that has a gradient."""
        gradients, values, dtype = [], [], self.dtype
        for p, shape in zip(self.params, self.shapes, strict=True):
            g: Any = p.grad
            if getattr(g, "shape", None) != shape or g.dtype != dtype:
                return self._step_one_by_one(rule, group)
            gradients.append(g.ravel())
            values.append(p.value.ravel())
        if not self.alike:
            return self._step_one_by_one(rule, group)
        state = self.vectors
        if self.single:
            state = State({name: v[:1].reshape(()) if name in self.single else v for name, v in state.items()})
        change, new = rule(np.concatenate(values), np.concatenate(gradients), state, group)
        for p, part, shape in zip(self.params, self.parts, self.shapes, strict=True):
            p.value -= change[part].reshape(shape)
            p.changed()
        for name, value in new.items():
            self.vectors[name][...] = value

    def _step_one_by_one(self, rule: Callable, group: Group) -> None:
        if self.alike and 0 < sum(p.grad is None for p in self.params) < len(self.params):
            _set_apart(self)
        for p, state in zip(self.params, self.states, strict=True):
            Alone(p, state).step(rule, group)

    def compare(self) -> None:
        """See whether the single numbers are alike."""
        self.alike = all((self.vectors[name] == self.vectors[name][0]).all() for name in self.single)


@at_each_replay  # a step that is being recorded must not change what it reads
def _set_apart(pack: Pack) -> None:
    pack.alike = False


SMALL = 1 << 14  # elements; larger ones would feel the copies


def _together(params: Sequence[Tensor], states: Sequence[State]) -> list[Alone | Pack]:
    """In which company parameters are stepped: where nothing is remembered, there is little to share."""
    found: list[Alone | Pack] = []
    packs: dict[np.dtype, list[tuple[Tensor, State]]] = {}
    for p, state in zip(params, states, strict=True):
        if state and p.size <= SMALL:
            packs.setdefault(p.dtype, []).append((p, state))
        else:
            found.append(Alone(p, state))
    for members in packs.values():
        found.append(Pack(*zip(*members, strict=True)) if len(members) > 1 else Alone(*members[0]))
    return found


# --- the optimiser ---------------------------------------------------------------------------------------------------


class Optimizer:
    """Base of the optimisers: `step()` changes each parameter by what the rule says about its gradient.

    A rule is one pure function, ``rule(p, g, state, group) -> (change, new_state)``: parameter, gradient and state
    are arrays, `group` holds the settings, and the parameter becomes ``p − change``.  Rules are written with operators
    and NumPy functions alone, so that they run on tensors just as well, and a recorded step can replay them.  A rule
    that treats each element by itself may say so with the decorator `elementwise`: small networks then train faster.

    Parameters
    ----------
    params : tensors with ``requires_grad=True``, such as ``model.parameters()``; or groups, dicts with "params" and
        settings of their own, such as ``{"params": [...], "lr": 0.01}``.
    settings : what holds for groups that do not say otherwise.

    `needs_loss` is True for optimisers whose `step` takes a function that computes the loss.
    `param_groups` is the list of groups: change ``group["lr"]`` there at any time.  `state` holds what is remembered,
    by position of the parameter.  A parameter without a gradient is left alone.
    """

    needs_loss = False

    def __init__(self, params: Iterable[Tensor] | Iterable[Group], **settings: Any):
        self.defaults = settings
        self.param_groups: list[Group] = []
        self.state: list[State] = []
        self._members: list[tuple[Group, list[Alone | Pack]]] = []
        given = [params] if isinstance(params, Tensor) else list(params)
        if not given:
            raise ValueError(f"{self._name}: there are no parameters; does the model hold any with requires_grad=True?")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)  # type: ignore[arg-type]

    @property
    def _name(self) -> str:
        return type(self).__name__

    @staticmethod
    def rule(p: Any, g: Any, state: Mapping[str, Any], group: Group) -> tuple[Any, dict[str, Any]]:
        """How much to take off `p`, and what to remember."""
        raise NotImplementedError

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        """What the rule remembers before the first step."""
        return {}

    def add_param_group(self, group: Group) -> None:
        """Optimise further parameters, with settings of their own.

        Raises TypeError for what is not a tensor, ValueError for a tensor that is not a leaf with
        ``requires_grad=True`` or is here already, and for a setting out of range.
        """
        unknown = group.keys() - self.defaults.keys() - {"params", "name", "initial_lr"}
        if unknown or "params" not in group:
            wrong = f"knows no setting {sorted(unknown)[0]!r}" if unknown else "needs 'params'"
            raise ValueError(f"{self._name}: a group {wrong}; expected params and any of {', '.join(self.defaults)}")
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        known = {id(p) for g in self.param_groups for p in g["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: parameter {i} is of type {type(p).__name__}, expected a tensor")
            if p.op is not None or not p.tracked:
                made = f"is the result of {p.op.name}" if p.op is not None else "does not require a gradient"
                raise ValueError(
                    f"{self._name}: {label(p, f'parameter {i}')} of shape {p.shape} {made}; "
                    "expected tensors you made with requires_grad=True"
                )
            if id(p) in known:
                raise ValueError(f"{self._name}: {label(p, f'parameter {i}')} of shape {p.shape} is given twice")
            known.add(id(p))
        group = {**self.defaults, **group, "params": params}
        self._check(group)
        for p in params:
            p.value = np.asarray(p.value)  # a NumPy scalar could not be changed in place
        states = [State(self._initial(p.value, group)) for p in params]
        self.param_groups.append(group)
        self.state += states
        alone: list[Alone | Pack] = [Alone(p, state) for p, state in zip(params, states, strict=True)]
        self._members.append((group, _together(params, states) if hasattr(self.rule, "elementwise") else alone))

    def _check(self, group: Group) -> None:
        for name, value in group.items():
            if name in ("lr", "eps", "weight_decay", "momentum", "lr_decay") and not value >= 0:
                raise ValueError(f"{self._name}: {name}={value}, expected at least 0")
            if name in ("betas", "rho", "alpha") and not all(0 <= b < 1 for b in np.atleast_1d(value)):
                raise ValueError(f"{self._name}: {name}={value}, expected from 0 to below 1")

    def step(self) -> None:
        """Apply the rule once to every parameter that has a gradient, in place."""
        rule = self.rule
        for group, members in self._members:
            for member in members:
                member.step(rule, group)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                p.grad = None

    def state_dict(self) -> dict[str, Any]:
        """Copies of all that is remembered, by position of the parameter, and the settings of the groups.

        Loaded into an optimiser made likewise, it makes training go on bitwise as if it had not stopped.
        """
        groups, first = [], 0
        for group in self.param_groups:
            n = len(group["params"])
            groups.append({**group, "params": list(range(first, first + n))})
            first += n
        state = {i: {name: array.copy() for name, array in s.items()} for i, s in enumerate(self.state)}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Take over what `state_dict()` returned.

        Raises ValueError or ShapeError where groups, names or shapes are not those of this optimiser, which is then
        left as it was.
        """
        groups, state = saved["param_groups"], {int(i): s for i, s in saved["state"].items()}
        have, given = ([len(g["params"]) for g in some] for some in (self.param_groups, groups))
        if have != given:
            raise ValueError(
                f"{self._name}.load_state_dict: expected groups of {have} parameters, got groups of {given}"
            )
        for i, mine in enumerate(self.state):
            theirs = state.get(i, {})
            if mine.keys() != theirs.keys():
                raise ValueError(
                    f"{self._name}.load_state_dict: parameter {i} comes with {sorted(theirs) or 'nothing'}, expected "
                    f"{sorted(mine) or 'nothing'}; is it the state of another rule, or of other settings?"
                )
            for name, array in mine.items():
                if np.shape(theirs[name]) != array.shape:
                    raise ShapeError(
                        f"{self._name}.load_state_dict: {name} of parameter {i} has shape {array.shape}, "
                        f"the saved one {np.shape(theirs[name])}"
                    )
        for i, mine in enumerate(self.state):
            for name, array in mine.items():
                array[...] = state[i][name]
        for pack in (m for _, members in self._members for m in members if isinstance(m, Pack)):
            pack.compare()
        for group, settings in zip(self.param_groups, groups, strict=True):
            group.update({k: v for k, v in settings.items() if k != "params"})

    def __repr__(self) -> str:
        settings = [", ".join(f"{k}={v!r}" for k, v in g.items() if k != "params") for g in self.param_groups]
        sizes = [sum(p.size for p in g["params"]) for g in self.param_groups]
        lines = [f"{text} ({n:,} parameters)" for text, n in zip(settings, sizes, strict=True)]
        return f"{self._name}({lines[0]})" if len(lines) == 1 else "\n  ".join([f"{self._name}:", *lines])
