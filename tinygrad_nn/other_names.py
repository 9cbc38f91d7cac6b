"""What things are called in PyTorch, JAX, HIPS autograd, pandas, Keras and elsewhere, for those who look for them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = ["HINTS", "LOSSES", "ForeignName", "missing"]

_DERIVATIVES = {
    "autograd": "tn.gradients(y, x) of recorded tensors, tn.grad(f) of functions", "jacfwd": "tn.jacobian",
    "jacrev": "tn.jacobian", "make_vjp": "tn.vjp", "make_jvp": "tn.jvp", "make_hvp": "tn.hvp",
    "hessian_vector_product": "tn.hvp", "hessian_tensor_product": "tn.hvp", "grad_and_aux": "tn.value_and_grad",
    "primitive": "tn.op", "defvjp": "tn.op", "defjvp": "tn.op", "custom_vjp": "tn.op", "custom_jvp": "tn.op",
    "jit": "tn.compile", "inference_mode": "tn.no_grad", "detach": "x.detach()", "stop_gradient": "x.detach()",
    "backward": "y.backward()",
}  # fmt: skip
_ARRAYS = {
    "numpy": "NumPy's own functions, which work on tensors", "random": "numpy.random.default_rng(seed)",
    "manual_seed": "numpy.random.default_rng(seed), passed on as rng=",
    "linalg": "the functions by themselves, as tn.inv", "fft": "tn.rfft_parts and tn.irfft_parts",
    "special": "the functions by themselves, as tn.erf", "array": "tn.tensor", "as_tensor": "tn.tensor",
    "from_numpy": "tn.tensor", "from_dlpack": "tn.tensor(np.from_dlpack(x))",
    "zeros": "tn.tensor(np.zeros(shape))", "ones": "tn.tensor(np.ones(shape))",
    "randn": "tn.tensor(rng.normal(size=shape))", "rand": "tn.tensor(rng.random(shape))",
    "arange": "tn.tensor(np.arange(n))", "eye": "tn.tensor(np.eye(n))",
    "Variable": "tn.tensor(x, requires_grad=True)",
    "Parameter": "tn.tensor(x, requires_grad=True)", "cat": "tn.concatenate", "concat": "tn.concatenate",
    "chunk": "tn.split", "clamp": "tn.clip", "unsqueeze": "tn.expand_dims", "permute": "tn.transpose",
    "repeat_interleave": "tn.repeat", "mm": "tn.matmul", "bmm": "tn.matmul", "mv": "tn.matmul",
    "gather": "tn.take_along_axis", "scatter": "tn.index_update", "index_select": "tn.take",
    "masked_fill": "tn.where(mask, value, x)", "amax": "tn.max", "amin": "tn.min", "pow": "tn.power",
    "mul": "tn.multiply", "sub": "tn.subtract", "div": "tn.divide", "neg": "tn.negative", "inverse": "tn.inv",
    "pinverse": "tn.pinv", "lgamma": "tn.gammaln", "expit": "tn.sigmoid", "swish": "tn.silu",
    "unfold": "tn.sliding_window_view",
}  # fmt: skip
_NETWORKS = {
    "functional": "the functions by themselves, as tn.relu", "Linear": "tn.nn.Dense",
    "Conv2d": "tn.conv2d in a module of yours", "Conv1d": "tn.conv1d in a module of yours",
    "MaxPool2d": "tn.max_pool2d", "AvgPool2d": "tn.avg_pool2d",
    "BatchNorm1d": "tn.nn.BatchNorm", "ReLU": "tn.nn.Activation('relu')", "Tanh": "tn.nn.Activation('tanh')",
    "Sigmoid": "tn.nn.Activation('sigmoid')", "GELU": "tn.nn.Activation('gelu')",
    "Softmax": "tn.softmax, and none before tn.cross_entropy, which takes logits", "Identity": "tn.nn.Sequential()",
    "ModuleList": "a plain list: modules in it are found", "ModuleDict": "a plain dict: modules in it are found",
    "CrossEntropyLoss": "tn.cross_entropy", "MSELoss": "tn.mse, which is d_L/2 times PyTorch's",
    "L1Loss": "tn.l1_loss", "BCELoss": "tn.binary_cross_entropy, which takes logits",
    "BCEWithLogitsLoss": "tn.binary_cross_entropy", "HuberLoss": "tn.huber_loss", "NLLLoss": "tn.nll_loss",
}  # fmt: skip

# What is looked for, where, and what there is instead.
HINTS: dict[str, dict[str, str]] = {
    "tinygrad_nn": _DERIVATIVES | _ARRAYS | {
        name: _NETWORKS[name] for name in ("Linear", "functional")
    } | {
        "F": "the functions by themselves, as tn.relu", "mse_loss": "tn.mse, which is d_L/2 times PyTorch's",
        "binary_cross_entropy_with_logits": "tn.binary_cross_entropy", "smooth_l1_loss": "tn.huber_loss",
        "embedding": "tn.nn.Embedding, or tn.take(W, indices, axis=0)", "dropout": "tn.nn.Dropout",
        "layer_norm": "tn.nn.LayerNorm",
        "save": "model.save(path)", "load": "tn.nn.load(path)",
        "hardtanh": "tn.hard_tanh",
        "DataFrame": "tn.data.Table", "read_csv": "tn.data.load_table", "read_parquet": "tn.data.stream",
        "train_test_split": "tn.data.split of columns, or table.split", "StandardScaler": "tn.data.Standardizer",
        "DataLoader": "tn.data.batches, or tn.data.stream", "TensorDataset": "tn.data.batches",
        **dict.fromkeys(("ColumnTransformer", "OneHotEncoder", "SimpleImputer"), "tn.data.Preprocessor"),
        **{name: f"tn.data.{name}" for name in ("load_csv", "load_table", "Preprocessor", "Table")},
        **{name: f"tn.nn.{name}" for name in ("Dense", "Predictor", "Sequential")},
        **{name: f"tn.optim.{name}" for name in ("Adam", "SGD")},
    },
    "tinygrad_nn.nn": _NETWORKS | {"Parameter": "tn.tensor(x, requires_grad=True), assigned to an attribute"},
    "tinygrad_nn.optim": {
        "lr_scheduler": "the schedules by themselves, as tn.optim.StepLR",
        "LBFGS": "tn.optim.minimize, or OnlineLBFGS", "apply_updates": "optimizer.step()",
    },
    "tinygrad_nn.training": {
        "EarlyStopping": "tn.fit(..., patience=n)", "ModelCheckpoint": "tn.fit(..., checkpoint=path)",
        "Trainer": "tn.fit", "fit_generator": "tn.fit, which takes anything that gives batches",
    },
    "Module": {
        "fit": "tn.fit(model, loss, optimizer, data, epochs)",
        "compile": "tn.fit(..., compile=True), or tn.compile(step)",
        "evaluate": "tn.training.evaluate(model, loss, data, metrics)",
        "score": "tn.training.evaluate(model, loss, data, metrics)", "weights": "model.parameters()",
        "load_weights": "model.load(path)", "save_weights": "model.save(path)",
    },
    "Tensor": {
        "view": "x.reshape(shape)", "permute": "x.transpose(axes)", "unsqueeze": "x.expand_dims(axis)",
        "clamp": "x.clip", "expand": "x.broadcast_to(shape)", "t": "x.T", "mm": "x @ y", "pow": "x ** n",
        "mul": "x * y", "add_": "x += y", "mul_": "x *= y", "dim": "x.ndim", "numel": "x.size", "amax": "x.max",
        "amin": "x.min", "clone": "x.copy()", "double": "x.astype(np.float64)", "float": "x.astype(np.float32)",
        "long": "x.astype(int)", "to": "x.astype(dtype); there is no device but the processor",
        "cpu": "x itself: there is no other device",
        "cuda": "NumPy arrays: there is no other device", "requires_grad_": "x.requires_grad = True",
        "grad_fn": "x.op and x.inputs", "index_select": "x.take", "gather": "x.take_along_axis",
        "masked_fill": "tn.where(mask, value, x)", "lgamma": "x.gammaln",
        "register_hook": "x.retain_grad(), or tn.draw(y)",
    },
}  # fmt: skip


# What losses are called by those who give their names.
LOSSES = {
    "mae": "l1_loss", "mean_absolute_error": "l1_loss", "absolute_error": "l1_loss", "l1": "l1_loss",
    "mean_squared_error": "mse", "squared_error": "mse", "mse_loss": "mse", "huber": "huber_loss",
    "categorical_crossentropy": "cross_entropy", "sparse_categorical_crossentropy": "cross_entropy",
    "log_loss": "cross_entropy", "bce": "binary_cross_entropy", "binary_crossentropy": "binary_cross_entropy",
}  # fmt: skip


def missing(place: str, name: str, known: Iterable[str] = ()) -> AttributeError:
    """The error for a name that a module does not have, with the name that was meant."""
    text = f"module {place!r} has no attribute {name!r}"
    hint = HINTS[place].get(name)
    if hint is None and not name.startswith("_"):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        return AttributeError(f"{text}: did you mean {near[0]!r}?" if near else text)
    return AttributeError(f"{text}: use {hint}" if hint else text)


class ForeignName:
    """An attribute that is not there, and says what is: a `__getattr__` would slow down all the others."""

    def __init__(self, name: str):
        self.name = name

    def __get__(self, instance: Any, owner: type) -> Any:
        hint = HINTS["Tensor"][self.name]
        raise AttributeError(f"{owner.__name__!r} object has no attribute {self.name!r}: use {hint}")
