"""Module: parameters, buffers and further modules, found by the attributes that hold them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tinygrad_nn import checkpoint, notebook, tree
from tinygrad_nn.conversions import refuse_recorded
from tinygrad_nn.errors import ShapeError, label
from tinygrad_nn.foreign import is_foreign
from tinygrad_nn.modes import MODE, OBSERVERS, about_to_assign
from tinygrad_nn.nn.members import described, is_buffer, is_parameter, is_several, was_parameter
from tinygrad_nn.nn.report import Report, Row, report
from tinygrad_nn.other_names import HINTS
from tinygrad_nn.tensor import Tensor, tensor

__all__ = ["Module", "assign"]


def _members(module: Module) -> Iterator[tuple[str, Any]]:
    """Tensors and modules among the attributes, also in lists, tuples and dicts, with the path that leads to each."""
    for path, value in tree.leaves_with_path(vars(module)):
        if isinstance(value, (Tensor, Module)):
            yield ".".join([str(key) for key in path]), value


def assign(buffer: Tensor, new: Tensor) -> None:
    """Give a buffer its next value: the one way in which a layer changes its state while it computes."""
    value = new.value
    if is_foreign(value):
        raise TypeError(
            f"{label(buffer, 'a buffer')} is written at each call in training, and its next value is a "
            f"{type(value).__name__} of {type(value).__module__.partition('.')[0]}, which nobody has asked for: "
            "call model.eval(), or use layers without running statistics, as LayerNorm"
        )
    buffer.value[...] = value
    buffer.changed()


class Module:
    """A part of a network: make a subclass, hold tensors and modules as attributes, and define `forward`.

    Whatever an attribute holds is found, in the order of assignment, also in lists, tuples and dicts, and once if it is
    shared: a tensor with ``requires_grad=True`` is a parameter, a module is a part.  A tensor's name is the path that
    leads to it: ``"layers.0.W"`` is ``model.layers[0].W``.  The state is made of the parameters, those that have been
    frozen (``requires_grad = False``) included, and of the buffers that `register_buffer` declares.  Any other tensor
    that an attribute holds, such as a result kept for a look at it, is no part of it.
    TypeError for assigning anything but another parameter, or None, over a parameter: optimisers would go on with it.

    `training` says how the module works, see `train`.  `Module.changes` counts assignments to attributes of all modules
    together: while it stays the same, so does every attribute.

    >>> import numpy as np, tinygrad_nn as tn
    >>> class Line(tn.nn.Module):
    ...     def __init__(self):
    ...         self.slope = tn.tensor(2.0, requires_grad=True)
    ...         self.offset = tn.tensor(1.0, requires_grad=True)
    ...
    ...     def forward(self, x):
    ...         return self.slope * x + self.offset
    >>> line = Line()
    >>> line(np.array([0.0, 1.0])).tolist()
    [1.0, 3.0]
    >>> [name for name, _ in line.named_parameters()]
    ['slope', 'offset']
    """

    training: bool = True
    changes: ClassVar[int] = 0
    _buffers: tuple[str, ...] = ()  # the attributes that hold buffers

    def __setattr__(self, name: str, value: Any) -> None:
        old = vars(self).get(name)
        if old is value and isinstance(old, Tensor):  # self.W -= ..., which has changed the tensor itself
            return
        if is_parameter(old) and not (value is None or is_parameter(value)):
            raise TypeError(
                f"{type(self).__name__}.{name} is a parameter, and {described(value)} in its place would not be "
                f"trained: within tn.no_grad(), {name} -= ... or {name}[...] = ... change its value; "
                f"{name}.requires_grad = False freezes it; del removes it"
            )
        if name in self._buffers:
            self._refuse_buffer(name, value)
        if OBSERVERS:
            about_to_assign(self, name)
        Module.changes += 1
        super().__setattr__(name, value)

    def _refuse_buffer(self, name: str, value: Any) -> None:
        """TypeError for a value that the state could not hold as a buffer."""
        for leaf in tree.leaves(value):
            if not is_buffer(leaf):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a buffer, and {described(leaf)} in its place would be missing "
                    "from the state: compute its next value within tn.no_grad(), or take .detach() of it"
                )

    if not TYPE_CHECKING:  # which would take any name for an attribute

        def __getattr__(self, name: str) -> None:
            """AttributeError, with a hint for what only a model of a table has."""
            said = f"{type(self).__name__!r} object has no attribute {name!r}"
            if name in ("predict", "predict_proba", "classes_"):
                said = (
                    f"{type(self).__name__} has no {name}: tn.nn.Predictor(network, preprocessor) predicts from rows; "
                    "network(X) takes columns"
                )
            elif name in HINTS["Module"]:
                said += f": use {HINTS['Module'][name]}"
            raise AttributeError(said, name=name, obj=self)

    def __delattr__(self, name: str) -> None:
        if OBSERVERS:
            about_to_assign(self, name)
        Module.changes += 1
        super().__delattr__(name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What `forward` returns."""
        interpreter = MODE.get().interpreter
        if interpreter is not None:
            interpreter.entered(self)
        return self.forward(*args, **kwargs) if kwargs else self.forward(*args)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; subclasses define it, and callers call the module."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward(self, ...): what should it compute?")

    # -- what it holds

    def named_modules(self) -> Iterator[tuple[str, Module]]:
        """Path and module, for this one (path "") and all its parts, each once, in the order of assignment."""
        for path, member in self._everything():
            if isinstance(member, Module):
                yield path, member

    def modules(self) -> Iterator[Module]:
        """This module and all its parts, each once."""
        return (module for _, module in self.named_modules())

    def named_parameters(self) -> Iterator[tuple[str, Tensor]]:
        """Path and tensor, for all that is trained, each once, in the order of assignment."""
        for path, member in self._everything():
            if is_parameter(member):
                yield path, member

    def parameters(self) -> Iterator[Tensor]:
        """All tensors that are trained, each once, in the order of assignment: what an optimiser takes."""
        return (p for _, p in self.named_parameters())

    def _everything(self, path: str = "", seen: set[int] | None = None) -> Iterator[tuple[str, Any]]:
        seen = set() if seen is None else seen
        seen.add(id(self))
        yield path, self
        for name, member in _members(self):
            if id(member) in seen or not (isinstance(member, Module) or self._is_state(name, member)):
                continue
            name = f"{path}.{name}" if path else name
            if isinstance(member, Module):
                yield from member._everything(name, seen)
            else:
                seen.add(id(member))
                yield name, member

    def tied_paths(self) -> list[list[str]]:
        """The paths of each parameter, buffer or part that is held at several places: tied weights, shared layers."""
        found: dict[int, list[str]] = {id(self): [""]}

        def walk(module: Module, before: str) -> None:
            for name, member in _members(module):
                path, is_part, new = before + name, isinstance(member, Module), id(member) not in found
                if is_part or module._is_state(name, member):
                    found.setdefault(id(member), []).append(path)
                if is_part and new:
                    walk(member, f"{path}.")

        walk(self, "")
        return [paths for paths in found.values() if len(paths) > 1 and paths[0]]

    def _is_state(self, path: str, member: Tensor) -> bool:
        return was_parameter(member) or (member.op is None and path.partition(".")[0] in self._buffers)

    # -- state

    def register_buffer(self, name: str, value: Any) -> None:
        """Hold numbers as an attribute that are part of the state and not trained: a running mean, a count.

        Parameters
        ----------
        name : of the attribute.
        value : an array, a tensor without gradient, or None; or several of these in lists, tuples and dicts.

        A later value of the attribute is part of the state, too.  TypeError for a tensor that requires a gradient.

        >>> import tinygrad_nn as tn
        >>> class Counting(tn.nn.Module):
        ...     def __init__(self):
        ...         self.register_buffer("calls", 0.0)
        ...
        ...     def forward(self, x):
        ...         self.calls += 1
        ...         return x
        >>> model = Counting()
        >>> model(2.0), model.state_dict()
        (2.0, {'calls': array(1.)})
        """
        if not isinstance(name, str) or not name.isidentifier():
            raise TypeError(f"register_buffer: name={name!r}, expected the name of an attribute")
        held = tree.map(lambda x: x if x is None or isinstance(x, Tensor) else tensor(x, name=name), value, is_several)
        self._refuse_buffer(name, held)
        setattr(self, name, held)
        if name not in self._buffers:
            self._buffers = (*self._buffers, name)

    def named_buffers(self) -> Iterator[tuple[str, Tensor]]:
        """Path and tensor, for all that is part of the state and was never trained."""
        return ((path, t) for path, t in self.named_tensors() if not was_parameter(t))

    def named_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """Path and tensor, for all parameters and buffers, which together are the state of the module.

        Other tensors that somebody kept as an attribute are neither.  ValueError for two of one path.
        """
        found: dict[str, Tensor] = {}
        for path, member in self._everything():
            if isinstance(member, Tensor):
                if path in found:
                    raise ValueError(
                        f"{type(self).__name__}: two tensors, of shapes {found[path].shape} and {member.shape}, have "
                        f"the path {path!r}: a dict's key with a dot reads like a dict within it; rename one"
                    )
                found[path] = member
                yield path, member

    def state_dict(self) -> dict[str, np.ndarray]:
        """Copies of all parameters and buffers, as arrays, by path.

        >>> import tinygrad_nn as tn
        >>> {name: value.shape for name, value in tn.nn.Dense(2, 3).state_dict().items()}
        {'W': (3, 2), 'b': (3, 1)}
        """
        return {path: np.array(t.value) for path, t in self.named_tensors()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the values of `state` into the parameters and buffers, in their dtype.

        Raises ValueError where the names are not those of this module, ShapeError where a shape differs, TypeError for
        what is not numbers; the module is then left as it was.
        """
        mine, name = dict(self.named_tensors()), type(self).__name__
        missing, unknown = [k for k in mine if k not in state], [k for k in state if k not in mine]
        if missing or unknown:
            wrong = [f"{', '.join(keys)} {what}" for keys, what in ((missing, "missing"), (unknown, "unknown")) if keys]
            raise ValueError(
                f"{name}.load_state_dict: {'; '.join(wrong)}; expected {', '.join(mine) or 'nothing'}: "
                "make the model as it was when its state was saved"
            )
        values = {}
        for path, t in mine.items():
            given = state[path]
            refuse_recorded(given, f"{name}.load_state_dict")
            value = np.asarray(given.value if isinstance(given, Tensor) else given)
            if value.shape != t.shape:
                raise ShapeError(f"{name}.load_state_dict: {path} has shape {t.shape}, the state's {value.shape}")
            if not np.can_cast(value.dtype, t.dtype, "same_kind"):
                raise TypeError(f"{name}.load_state_dict: {path} is {t.dtype}, the state's {value.dtype}")
            values[path] = value
        for path, t in mine.items():
            t.value[...] = values[path]
            t.changed()

    def save(self, path: str | PathLike[str], optimizer: Any = None, extra: Any = None) -> Path:
        """Write the module, and an optimiser if given, to a .safetensors or .npz file; see `checkpoint.save`.

        >>> import tempfile, tinygrad_nn as tn
        >>> model = tn.nn.Sequential(tn.nn.Dense(2, 3, "tanh"), tn.nn.Dense(3, 1))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = model.save(f"{folder}/model.npz")
        ...     again = tn.nn.load(path)
        >>> bool((again[0].W.data == model[0].W.data).all())
        True
        """
        return checkpoint.save(path, self, optimizer, extra)

    def load(self, path: str | PathLike[str], optimizer: Any = None) -> Self:
        """Read a file that `save` wrote into this module, and an optimiser if given; returns the module.

        Which tensors require a gradient, and which modules are in training mode, is then as it was saved, too.

        Raises CheckpointError, naming what differs, for a damaged file, other shapes or another architecture; the
        module is then left as it was.
        """
        checkpoint.restore(path, self, optimizer)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters, frozen ones too, which would otherwise keep a stale one."""
        for _, member in self._everything():
            if isinstance(member, Tensor):
                member.grad = None

    # -- two ways of working

    def train(self, mode: bool = True) -> Self:
        """Work as in training: Dropout drops, BatchNorm measures.  Returns the module."""
        for module in self.modules():
            if module.training != mode:
                module.training = mode
        return self

    def eval(self) -> Self:
        """Work as in prediction: Dropout lets everything through, BatchNorm uses what it has measured."""
        return self.train(False)

    @contextmanager
    def evaluating(self) -> Iterator[Self]:
        """Work as in prediction within a ``with`` statement, and as before after it.

        >>> import tinygrad_nn as tn
        >>> model = tn.nn.Dropout(0.5)
        >>> with model.evaluating():
        ...     model.training
        False
        >>> model.training
        True
        """
        modes = [(module, module.training) for module in self.modules()]
        self.eval()
        try:
            yield self
        finally:
            for module, mode in modes:
                if module.training != mode:
                    module.training = mode

    # -- how it is written

    def number_layers(self, level: int = 0) -> int:
        """Number the layers, and name their parameters and results: W¹ b¹ Z¹ A¹, W² ...; returns the last number.

        A `Sequential` does this by itself when it is made; call it at the end of `__init__` for a module of your own.
        `level` is the number before the first layer.  Names that you gave yourself stay.
        """
        for module in self.modules():
            level = module._number_from(level)
        return level

    def _number_from(self, level: int) -> int:
        """Choose the names after `level` dense layers; returns the number of dense layers including this one."""
        return level

    def _row(self, source: str) -> Row | None:
        """What the report says about this module, whose input is called `source`; None where its parts say it all."""
        return None

    def _rows(self, source: str) -> tuple[list[tuple[Module, Row]], str]:
        """The report on this module and its parts, one after the other, and the name of the result."""
        row = self._row(source)
        rows = [(self, row)] if row else []
        source = row.result if row else source
        for _, part in _members(self):
            if isinstance(part, Module):
                more, source = part._rows(source)
                rows += more
        return rows, source

    def config(self) -> dict[str, Any]:
        """What the module is made of, as JSON can hold it: ``nn.build(model.config())`` makes one like it.

        >>> import tinygrad_nn as tn
        >>> tn.nn.Dropout(0.2).config()
        {'type': 'Dropout', 'p': 0.2}
        """
        return {"type": type(self).__name__, **self._settings()}

    def _settings(self) -> dict[str, Any]:
        """The arguments that make a module like this one."""
        raise NotImplementedError(
            f"{type(self).__name__} cannot be rebuilt from a description: build it in code, and load_state_dict into it"
        )

    def summary(self, X: Any = None, Y: Any = None, loss: Any = None) -> Report:
        """Layer by layer: equation, shapes, number of parameters; with `X` also ‖Z‖ and ‖A‖, with `Y` ‖Δ‖ and ‖∂J/∂W‖.

        Parameters
        ----------
        X : a batch (features, N).  It goes through as in prediction (see `eval`), and nothing is changed by it.
        Y : targets.
        loss : of prediction and Y, J; `tn.mse` unless given.

        Returns
        -------
        A string that shows itself as it prints.  Δ = N ∂J/∂Z, and norms are Frobenius norms.

        >>> import tinygrad_nn as tn
        >>> print(tn.nn.Sequential(tn.nn.Dense(4, 3, "tanh"), tn.nn.Dense(3, 1)).summary())
        layer              equation         shapes                  parameters
        Dense(4, 3, tanh)  Z¹ = W¹ A⁰ + b¹  (3, 4) (4, N) + (3, 1)          15
                           A¹ = tanh(Z¹)    (3, N)
        Dense(3, 1)        Z² = W² A¹ + b²  (1, 3) (3, N) + (1, 1)           4
        Sequential                                                          19
        """
        return report(self, X, Y, loss)

    def _repr_html_(self) -> str:
        count = sum(p.size for p in self.parameters())
        title = notebook.heading(f"{type(self).__name__}: {count:,} parameter{'s' * (count != 1)}")
        if self._rows("A⁰")[0]:
            return title + report(self)._repr_html_()
        rows = [(name, str(p.shape), f"{p.size:,}") for name, p in self.named_parameters()]
        return title + notebook.table(rows, ("parameter", "shape", "numbers"), right=[2])

    def _signature(self) -> str:
        """The call that makes it, without its parts."""
        return type(self).__name__

    def __repr__(self) -> str:
        parts = [(name, m) for name, m in _members(self) if isinstance(m, Module)]
        count = sum(p.size for p in self.parameters())
        head = f"{type(self).__name__ if parts else self._signature()}: {count:,} parameter{'s' * (count != 1)}"
        lines = [f"{name}: {module!r}".replace("\n", "\n  ") for name, module in parts]
        return "\n  ".join([head, *lines])
