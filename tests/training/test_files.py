"""Files: what they can hold, or is refused by name, and what Ctrl-C leaves behind at any instant."""

import dis
import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import checkpoint
from tinygrad_nn.checkpoint.content import DEEPEST, LONGEST_INTEGER
from tinygrad_nn.checkpoint.files import write_whole

each_format = pytest.mark.parametrize("suffix", [".safetensors", ".npz"])


@pytest.fixture
def model():
    return tn.nn.Dense(2, 2, rng=0)


def nested(depth, kind):
    return 1 if not depth else [nested(depth - 1, kind)] if kind is list else {"a": nested(depth - 1, kind)}


# --- what a file can hold ---------------------------------------------------------------------------------------------


MASKED = [np.ma.array([1.0, 2.0], mask=[True, False]), np.ma.array([1, 2]), np.ma.masked, np.ma.zeros((2, 2))]


@each_format
@pytest.mark.parametrize("array", MASKED, ids=["some", "nothing", "masked", "matrix"])
def test_masked_arrays_are_refused_by_name(tmp_path, model, array, suffix):
    for extra, name in ((array, "extra"), ({"a": [1, array]}, "extra/a/1")):
        with pytest.raises(
            TypeError, match=rf"save: {name} is a masked array, and a checkpoint holds no mask; .*filled"
        ):
            model.save(tmp_path / f"m{suffix}", extra=extra)
    assert not [*tmp_path.iterdir()]


@each_format
@pytest.mark.parametrize("letter", ["a", "ä", "語"])
def test_every_name_that_a_file_may_have(tmp_path, model, same, suffix, letter):
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") if hasattr(os, "pathconf") else 255
    most = (longest - len(suffix)) // len(letter.encode())
    for letters in (1, 20, *range(most - 30, most + 1)):
        path = tmp_path / (letter * letters + suffix)
        for _ in range(2):  # new, and in the place of another
            assert model.save(path) == path
        assert same(checkpoint.read(path).state, model)
        path.unlink()
    assert not [*tmp_path.iterdir()]
    with pytest.raises(OSError, match="too long"):
        model.save(tmp_path / (letter * (most + 1) + suffix))
    assert not [*tmp_path.iterdir()]


def test_keys_of_any_length(tmp_path, model):
    limit = 2**16 - 1 - len("extra/.npy")
    for suffix, length, holds in ((".npz", limit, True), (".npz", limit + 1, False), (".safetensors", limit + 1, True)):
        extra = {"k" * length: np.ones(1), "l" * length: "text"}
        if holds:
            assert checkpoint.read(model.save(tmp_path / f"m{suffix}", extra=extra)).extra.keys() == extra.keys()
        else:
            with pytest.raises(
                ValueError, match=r"save: extra/k+… has a name of 65,532 letters, and a .npz file holds"
            ):
                model.save(tmp_path / f"m{suffix}", extra=extra)


@each_format
def test_integers_of_any_length(tmp_path, model, suffix):
    path = tmp_path / f"m{suffix}"
    for sign in (1, -1):
        longest = sign * (10**LONGEST_INTEGER - 1)
        assert checkpoint.read(model.save(path, extra={"n": longest})).extra == {"n": longest}
        before = path.read_bytes()
        with pytest.raises(ValueError, match=r"save: extra/n is an integer of more than 4,300 digits, .* hex\(n\)"):
            model.save(path, extra={"n": longest + sign})
        assert path.read_bytes() == before


@each_format
@pytest.mark.parametrize("kind", [list, dict])
def test_lists_and_dicts_of_any_depth(tmp_path, model, suffix, kind):
    path = tmp_path / f"m{suffix}"
    assert checkpoint.read(model.save(path, extra=nested(DEEPEST, kind))).extra == nested(DEEPEST, kind)
    cyclic = kind()
    cyclic.append(cyclic) if kind is list else cyclic.update(a=cyclic)
    for extra in (nested(DEEPEST + 1, kind), nested(700, kind), cyclic):
        with pytest.raises(ValueError, match="has lists or dicts more than 200 deep, or that hold themselves"):
            model.save(path, extra=extra)


# --- Ctrl-C between any two steps of Python ---------------------------------------------------------------------------


AFTER = {
    dis.opmap[name] for name in ("CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD", "RESUME") if name in dis.opmap
}


def interrupted_at(n, function):
    """KeyboardInterrupt the n-th time that Python looks for it while `function` runs; whether it came to that."""
    left, opcodes = n, {}

    def trace(frame, event, _):
        nonlocal left
        frame.f_trace_opcodes = True
        if event == "opcode":
            before, opcodes[frame] = opcodes.get(frame), frame.f_code.co_code[frame.f_lasti]
            left -= before in AFTER
            if left == 0:
                sys.settrace(None)
                opcodes.clear()
                raise KeyboardInterrupt
        elif event == "return":
            opcodes.pop(frame, None)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return left <= 0


def descriptors():
    gc.collect()
    return sorted(os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if _is_open(fd))


def _is_open(fd):
    return os.path.lexists(f"/proc/self/fd/{fd}")


@pytest.fixture
def complaints(monkeypatch):
    found = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: found.append((what.exc_value, what.object)))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="there are no descriptors to look at")
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # a file that is closed with its object
@pytest.mark.parametrize("former", [False, True])
def test_ctrl_c_leaves_no_file_open_and_none_half(tmp_path, complaints, former):
    path, n = tmp_path / "file", 0
    gc.disable()
    before = descriptors()
    try:
        while True:
            n += 7 if former else 5  # together most instants
            path.unlink(missing_ok=True)
            if former:
                path.write_bytes(b"old")
            reached = interrupted_at(n, lambda: write_whole(path, b"new"))
            assert not path.exists() if not former and not path.exists() else path.read_bytes() in (b"old", b"new")
            assert len([*tmp_path.iterdir()]) <= 1, n
            assert descriptors() == before, n
            if not reached:
                break
    finally:
        gc.enable()
    assert path.read_bytes() == b"new"
    assert n > 30
    assert complaints == []


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@each_format
def test_ctrl_c_while_a_file_is_composed_leaves_nothing_that_complains(complaints, suffix):
    from tinygrad_nn.checkpoint.formats import FORMATS

    arrays = {"a": np.arange(3.0), "b": np.ones((2, 1), np.float32)}
    compose, parse = FORMATS[suffix]
    n = 0
    while interrupted_at(n := n + 1, lambda: compose("text", arrays)):
        pass
    assert n > 30
    gc.collect()
    assert complaints == []
    text, found = parse(compose("text", arrays))
    assert text == "text"
    assert all(np.array_equal(found[name], array) for name, array in arrays.items())
