"""Optimizer: an update rule, the parameters it is applied to, and its state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.modes import MODE, OBSERVERS, about_to_change, at_each_replay, stand_ins
from tinygrad_nn.optim.rule import Group, NewState, Params, State
from tinygrad_nn.optim.settings import as_settings, check_settings, defaults_of
from tinygrad_nn.optim.updates import FusedUpdate, SingleUpdate, StateArrays, updates_of, widened
from tinygrad_nn.tensor import Tensor

__all__ = ["Optimizer"]


# settings that are sizes, whose sign would turn a step around, or make a root of a negative number
_SIZES = {
    "lr", "eps", "weight_decay", "momentum", "dampening", "lr_decay", "initial_accumulator_value", "momentum_decay",
    "theta", "damping",
}  # fmt: skip


@at_each_replay  # a compiled step may not change what it is compared by
def _stop_fusing(optimizer: Optimizer) -> None:
    optimizer.fused = False


class Optimizer:
    """Base of the optimisers: `step()` changes each parameter by what the rule says about its gradient.

    A rule is one pure function, ``rule(p, g, state, group) -> (change, new_state)``: parameter, gradient and state
    are arrays, `group` holds the settings, and the parameter becomes ``p − change``.  Rules are written with operators
    and NumPy functions alone, so that they run on tensors just as well, and a recorded step can replay them.  A rule
    that treats each element by itself may say so with the decorator `fusable`: small networks then train faster.

    Parameters
    ----------
    params : tensors with ``requires_grad=True``, such as ``model.parameters()``; or groups, dicts with "params" and
        settings of their own, such as ``{"params": [...], "lr": 0.01}``.
    settings : what holds for groups that do not say otherwise.

    `needs_loss` is True for optimisers whose `step` takes a function that computes the loss.
    `param_groups` is the list of groups: change ``group["lr"]`` there at any time.  `state` holds a dict of arrays for
    each parameter, by position; rule and state of float16 parameters work in float32.  A parameter without a gradient,
    or one that has been frozen (``requires_grad = False``), is left alone.  `fused` says whether small parameters are
    stepped as one vector: as long as all of them have made equally many steps.
    """

    needs_loss = False

    def __init__(self, params: Params, **settings: Any):
        self.defaults = settings
        self.param_groups: list[Group] = []
        self.state: list[StateArrays] = []
        self.fused = True
        self._updates: list[tuple[Group, list[FusedUpdate], list[SingleUpdate]]] = []
        given = self._given(params)
        if not given:
            raise ValueError(f"{self._name}: there are no parameters; does the model hold any with requires_grad=True?")
        for group in given if isinstance(given[0], dict) else [{"params": given}]:
            self.add_param_group(group)

    def _given(self, params: Any) -> list[Any]:
        """Parameters or groups as a list."""
        if isinstance(params, Tensor):
            return [params]
        if hasattr(params, "parameters") or isinstance(params, dict) or not isinstance(params, Iterable):
            hint = ": model.parameters() gives them" if hasattr(params, "parameters") else ""
            raise TypeError(
                f"{self._name}: params is of type {type(params).__name__}, expected tensors or groups of them{hint}"
            )
        return list(params)

    @property
    def _name(self) -> str:
        return type(self).__name__

    @staticmethod
    def rule(p: Any, g: Any, state: State, group: Group) -> NewState:
        """How much to take off `p`, and the new state."""
        raise NotImplementedError

    def _initial(self, p: np.ndarray, group: Group) -> dict[str, np.ndarray]:
        """The state before the first step."""
        return {}

    def add_param_group(self, group: Group) -> None:
        """Optimise further parameters, with settings of their own.

        Raises TypeError for what is not a tensor, ValueError for a tensor that is not a leaf with
        ``requires_grad=True`` or is here already, and for a setting out of range.
        """
        self._check_names(group)
        params = [group["params"]] if isinstance(group["params"], Tensor) else list(group["params"])
        self._check_parameters(params)
        group = as_settings({**self.defaults, **group, "params": params})
        self._check(group)
        for p in params:
            if is_foreign(p.value):
                name, kind = label(p, "a parameter"), type(p.value)
                raise TypeError(
                    f"{name} is a {kind.__name__} of {kind.__module__.partition('.')[0]}, and an optimizer writes into "
                    f"arrays of NumPy's: step by hand, {p.name or 'p'}.data = {p.name or 'p'}.data - lr * "
                    f"{p.name or 'p'}.grad within tn.no_grad()"
                )
            p.value = np.asarray(p.value)  # a NumPy scalar could not be changed in place
        states = [StateArrays(self._initial(widened(p.value), group)) for p in params]
        self.param_groups.append(group)
        self.state += states
        self._updates.append((group, *updates_of(self.rule, params, states)))

    @property
    def state_arrays(self) -> list[StateArrays]:
        """All dicts that hold arrays of the state: those of single parameters, and the vectors of fused updates."""
        return [*self.state, *(several.vectors for _, fused, _ in self._updates for several in fused)]

    def __getstate__(self) -> dict[str, Any]:
        """For copies: updates are made anew, as the state of fused ones is made of parts of their vectors."""
        return {**vars(self), "_updates": None}

    def __setstate__(self, saved: dict[str, Any]) -> None:
        vars(self).update(saved, _updates=[])
        states = iter(self.state)
        for group in self.param_groups:
            some = [next(states) for _ in group["params"]]
            self._updates.append((group, *updates_of(self.rule, group["params"], some)))

    def _check_names(self, group: Mapping[str, Any]) -> None:
        unknown = group.keys() - self.defaults.keys() - {"params", "name", "initial_lr"}
        if unknown or "params" not in group:
            wrong = f"knows no setting {sorted(unknown)[0]!r}" if unknown else "needs 'params'"
            raise ValueError(f"{self._name}: a group {wrong}; expected params and any of {', '.join(self.defaults)}")

    def _check_parameters(self, params: list[Any]) -> None:
        known = {id(p) for group in self.param_groups for p in group["params"]}
        for i, p in enumerate(params):
            if not isinstance(p, Tensor):
                raise TypeError(f"{self._name}: parameter {i} is of type {type(p).__name__}, expected a tensor")
            if p.op is not None or not p.tracked:
                made = f"is the result of {p.op.public_name}" if p.op is not None else "does not require a gradient"
                raise ValueError(
                    f"{self._name}: {label(p, f'parameter {i}')} of shape {p.shape} {made}; "
                    "expected tensors you made with requires_grad=True"
                )
            if id(p) in known:
                raise ValueError(f"{self._name}: {label(p, f'parameter {i}')} of shape {p.shape} is given twice")
            known.add(id(p))

    def _check(self, group: Group) -> None:
        check_settings(self._name, group, {**self.defaults, **defaults_of(type(self)), "initial_lr": 0.0})
        for name, value in group.items():
            if name in _SIZES and not 0 <= value < np.inf:
                expected = "a finite number" if value >= 0 else "at least 0"
                raise ValueError(f"{self._name}: {name}={value}, expected {expected}")
            if name in ("betas", "rho", "alpha") and not all(0 <= b < 1 for b in np.atleast_1d(value)):
                raise ValueError(f"{self._name}: {name}={value}, expected from 0 to below 1")

    def step(self) -> None:
        """Apply the rule once to every parameter that has a gradient, in place."""
        rule = self.rule
        for group, fused, single in self._updates:
            settings = self._settings(group)
            for several in fused:
                still_equal = several.step(rule, settings, self.fused)
                if self.fused and not still_equal:
                    _stop_fusing(self)
            for one in single:
                one.step(rule, settings)

    def _settings(self, group: Group) -> Group:
        """The settings of a group as a rule sees them; all steps read them here."""
        interpreter = MODE.get().interpreter
        return group if interpreter is None else interpreter.settings(group, self)

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for p in stand_ins(group["params"]):
                if OBSERVERS:
                    about_to_change(p)
                p._grad = None

    def state_dict(self) -> dict[str, Any]:
        """Copies of the state, by position of the parameter, and the settings of the groups.

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

        Raises ValueError, TypeError or ShapeError where groups, names, dtypes or shapes are not those of this
        optimiser, or a setting is none that it could be made with; it is then left as it was.
        """
        groups, state = saved["param_groups"], {str(i): s for i, s in saved["state"].items()}
        have, given = ([len(g["params"]) for g in some] for some in (self.param_groups, groups))
        if have != given:
            raise ValueError(
                f"{self._name}.load_state_dict: expected groups of {have} parameters, got groups of {given}"
            )
        self._check_state(state)
        settings = [
            as_settings({**group, "params": mine["params"]})
            for mine, group in zip(self.param_groups, groups, strict=True)
        ]
        for mine, group in zip(self.param_groups, settings, strict=True):
            self._check_names(group)
            self._check({**mine, **group})
        for i, arrays in enumerate(self.state):
            for name, array in arrays.items():
                array[...] = state[str(i)][name]
        self.fused = all(several.counters_are_equal() for _, fused, _ in self._updates for several in fused)
        for mine, group in zip(self.param_groups, settings, strict=True):
            mine.update(group)

    def _check_state(self, state: dict[str, Mapping[str, Any]]) -> None:
        if len(state) > len(self.state):
            raise ValueError(
                f"{self._name}.load_state_dict: expected the state of {len(self.state)} parameters, got {len(state)}"
            )
        for i, mine in enumerate(self.state):
            theirs = state.get(str(i), {})
            if mine.keys() != theirs.keys():
                raise ValueError(
                    f"{self._name}.load_state_dict: parameter {i} comes with {sorted(theirs) or 'nothing'}, expected "
                    f"{sorted(mine) or 'nothing'}; is it the state of another rule, or of other settings?"
                )
            for name, array in mine.items():
                saved = np.asarray(theirs[name])
                if saved.shape != array.shape:
                    raise ShapeError(
                        f"{self._name}.load_state_dict: {name} of parameter {i} has shape {array.shape}, "
                        f"the saved one {saved.shape}"
                    )
                if isinstance(theirs[name], np.ndarray) and saved.dtype.newbyteorder("=") != array.dtype.newbyteorder(
                    "="
                ):
                    raise TypeError(
                        f"{self._name}.load_state_dict: {name} of parameter {i} is {array.dtype}, "
                        f"the saved one {saved.dtype}"
                    )

    def __repr__(self) -> str:
        settings = [", ".join(f"{k}={v!r}" for k, v in g.items() if k != "params") for g in self.param_groups]
        sizes = [sum(p.size for p in g["params"]) for g in self.param_groups]
        lines = [f"{text} ({n:,} parameters)" for text, n in zip(settings, sizes, strict=True)]
        return f"{self._name}({lines[0]})" if len(lines) == 1 else "\n  ".join([f"{self._name}:", *lines])
