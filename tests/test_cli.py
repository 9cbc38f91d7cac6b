"""The command line: the demo with and without Graphviz, the examples, drawing from files, and answers to mistakes."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

import tinygrad_nn as tn
from tinygrad_nn import cli
from tinygrad_nn import demo as demo_module
from tinygrad_nn.command_line import make_parser

ROOT = Path(__file__).resolve().parent.parent


def labels(svg):
    """All that a picture says, one text after the other; it must be XML."""
    return "\n".join("".join(element.itertext()) for element in ET.parse(svg).iter() if element.tag.endswith("}text"))


def picture(path):
    root = ET.parse(path).getroot()
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    return root


# --- demo


@pytest.fixture(scope="module", params=["dot", "no dot"])
def demo(request, tmp_path_factory):
    """What the demo printed, and its folder: with what this machine has, and with an empty PATH."""
    folder = tmp_path_factory.mktemp("demo")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    arguments = []
    if request.param == "no dot":
        try:
            importlib.metadata.version("graphviz-pure")
        except importlib.metadata.PackageNotFoundError:
            pytest.skip("there is no embedded engine for this platform")
        environment["PATH"] = str(folder)
        arguments = ["--out", "some where/else"]
    command = [sys.executable, "-W", "error", "-m", "tinygrad_nn", "demo", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stderr == b""
    return done.stdout.decode(), folder / (arguments[1] if arguments else "tinygrad_nn_demo")


def test_demo_learns_the_digits(demo):
    printed, _ = demo
    (accuracy,) = re.findall(r"test accuracy (\d\.\d+)", printed)
    assert float(accuracy) >= 0.95
    assert "1,442" in printed
    assert "355" in printed


def test_demo_prints_the_equations_with_shapes(demo):
    printed, _ = demo
    for line in ["Z¹ = W¹ A⁰ + b¹  (32, 64) (64, N) + (32, 1)", "Z² = W² A¹ + b²  (10, 32) (32, N) + (10, 1)"]:
        assert line in printed


def test_demo_is_plain_when_nobody_watches(demo):
    printed, _ = demo
    assert "\r" not in printed
    assert "\x1b" not in printed
    assert printed.count("epoch") == 1
    assert max(len(line) for line in printed.splitlines() if ".svg" not in line and ".html" not in line) <= 80


def test_demo_says_where_every_file_is(demo):
    printed, folder = demo
    for name in ("training_step.svg", "chain_rule.svg"):
        assert f"    {folder / name}" in printed.splitlines()
    names = {f"{name}.{kind}" for name in ("training_step", "chain_rule") for kind in ("svg", "html")}
    assert {file.name for file in folder.iterdir()} == names
    assert all("data-tinygrad-nn" in (folder / name).read_text("utf-8") for name in names if name.endswith("html"))


def test_demo_draws_the_two_paths_and_their_sum(demo):
    printed, folder = demo
    picture(folder / "chain_rule.svg")
    shown = labels(folder / "chain_rule.svg")
    for text in (shown, printed):
        for value in ("−5.0865", "−0.4678", "−5.5543", "1.6487", "3.2974", "−0.9356"):
            assert value in text
        assert "t → x → u → s → z" in text
        assert "t → y → v → s → z" in text
    assert "✓" in shown
    assert "✗" not in shown


def test_demo_draws_a_training_step(demo):
    printed, folder = demo
    picture(folder / "training_step.svg")
    shown = labels(folder / "training_step.svg")
    for name in ("W¹", "b¹", "Z¹", "A¹", "W²", "b²", "Z²", "∂J/∂W¹", "64 × 32", "32 × 32", "10 × 32"):
        assert name in shown
    (cost,) = re.findall(r"J = (\d\.\d+) before", printed)
    assert cost in shown


def test_demo_checks_gradients(demo):
    printed, _ = demo
    rows = re.findall(r"∂J/∂\S+\[.*?\] +(\S+) +(\S+) +(\S+)$", printed, re.M)
    assert len(rows) == 4
    for got, expected, difference in rows:
        assert float(got) == pytest.approx(float(expected), abs=1e-8)
        assert float(difference) < 1e-8
    assert "all 2,410" in printed


def test_progress_is_one_line_in_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    model = tn.nn.Sequential(tn.nn.Dense(2, 2, rng=0))
    demo_module.train(model, tn.data.batches(*tn.data.make_xor(), batch_size=4), epochs=3)
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert printed.count("\r") == 3
    assert "epoch  3 of 3" in printed


# --- examples


def test_examples_are_listed_with_what_they_are(capsys):
    assert cli.main(["examples"]) == 0
    printed = capsys.readouterr().out
    for path in sorted((ROOT / "examples").glob("*.py")):
        first = path.read_text("utf-8").splitlines()[0].removeprefix('"""')
        assert re.search(rf"^ +{path.stem} +{re.escape(first)}$", printed, re.M)


@pytest.mark.parametrize("name", ["02_chain_rule", "chain_rule", "02_chain_rule.py", "2", "02"])
def test_example_is_found_by(name, tmp_path, capsys):
    arguments = sys.argv
    assert cli.main(["examples", name, "--out", str(tmp_path)]) == 0
    assert f"picture: {tmp_path / 'chain_rule.svg'}" in capsys.readouterr().out
    assert sys.argv is arguments


def test_examples_write_to_a_folder_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["examples", "one_neuron"]) == 0
    assert str(tmp_path / "tinygrad_nn_examples" / "one_neuron.svg") in capsys.readouterr().out
    assert [file.name for file in tmp_path.iterdir()] == ["tinygrad_nn_examples"]


def test_all_examples_run_in_order(tmp_path, monkeypatch, capsys):
    files = [tmp_path / name for name in ("01_a.py", "02_b.py")]
    for file in files:
        file.write_text(f'"""This is {file.stem}."""\nimport sys\nprint("ran", sys.argv)\n')
    monkeypatch.setattr(cli, "example_files", lambda: files)
    assert cli.main(["examples", "all", "--out", str(tmp_path / "out")]) == 0
    assert re.findall(r"This is (\w+)|ran .*?(0\d_.)", capsys.readouterr().out) == [
        ("01_a", ""), ("", "01_a"), ("02_b", ""), ("", "02_b"),
    ]  # fmt: skip


def test_examples_are_found_in_an_installed_wheel_too(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "tinygrad_nn"
    foreign = package.parent / "examples"  # of some other package
    for folder in (package / "_examples", foreign):
        folder.mkdir(parents=True)
        (folder / "01_x.py").write_text('"""X."""\n')
    monkeypatch.setattr(cli, "__file__", str(package / "cli.py"))
    assert cli.example_files() == [package / "_examples" / "01_x.py"]
    (package / "_examples" / "01_x.py").unlink()
    (package / "_examples").rmdir()
    assert cli.example_files() == []


# --- draw

FILE = """\
import numpy as np
import tinygrad_nn as tn
from neighbour import half

t = tn.tensor(half, requires_grad=True)
x = tn.exp(t)
y = t**2
z = tn.sin(x**2 + y**2)
array = np.ones(3)
network = tn.nn.Sequential(tn.nn.Dense(3, 2, "tanh", rng=0), tn.nn.Dense(2, 1, rng=0))


def loss():
    w = tn.tensor([3.0, 4.0], requires_grad=True, name="weights")
    return (w * w).sum().named("cost")


def misfit():
    return tn.tensor(np.ones((2, 3)), name="A") @ tn.tensor(np.ones((2, 3)), name="B")


def nothing():
    pass
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A folder of a user's, with mine.py in it, to work in."""
    (tmp_path / "mine.py").write_text(FILE, "utf-8")
    (tmp_path / "neighbour.py").write_text("half = 0.5\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")  # the interpreter's caches of folders must not outlive this one
    yield tmp_path
    sys.modules.pop("neighbour", None)


def test_draw_a_tensor(mine, capsys):
    before = list(sys.path)
    assert cli.main(["draw", "mine.py:z"]) == 0
    assert str(mine / "z.svg") in capsys.readouterr().out
    shown = labels(mine / "z.svg")
    for text in ("x = exp(t)", "y = t²", "−5.5543", "−5.0865", "−0.4678"):
        assert text in shown
    assert sys.path == before
    assert "mine" not in sys.modules


def test_draw_what_a_function_returns(mine):
    assert cli.main(["draw", str(mine / "mine.py") + ":loss", "-o", "cost.svg"]) == 0
    assert "weights" in labels(mine / "cost.svg")
    assert "25" in labels(mine / "cost.svg")


def test_draw_a_network(mine):
    assert cli.main(["draw", "mine.py:network"]) == 0
    shown = labels(mine / "network.svg")
    for name in ("W¹", "b¹", "Z¹", "A¹", "W²", "b²"):
        assert name in shown
    assert "3 × 1" in shown


def test_draw_the_backward_pass_step_by_step(mine):
    assert cli.main(["draw", "mine.py:z", "--steps", "-o", "z.svg"]) == 0
    assert "The backward pass begins" in labels(mine / "z.svg")
    assert cli.main(["draw", "mine.py:z", "--steps", "--wrt", "x", "-o", "step_{}.svg"]) == 0
    assert len(list(mine.glob("step_*.svg"))) > 1


def test_draw_paths_from_one_tensor(mine):
    assert cli.main(["draw", "mine.py:z", "--wrt", "x", "-o", "x.svg"]) == 0
    assert "dz/dx" in labels(mine / "x.svg").replace(" ", "")


def test_draw_paths_from_a_tensor_by_its_own_name(mine):
    assert cli.main(["draw", "mine.py:loss", "--wrt", "weights", "-o", "w.svg"]) == 0
    picture(mine / "w.svg")


@pytest.mark.parametrize("suffix", ["svg", "png", "dot", "json"])
def test_the_ending_says_what_is_written(mine, suffix):
    assert cli.main(["draw", "mine.py:z", "--out", f"z.{suffix}"]) == 0
    assert (mine / f"z.{suffix}").stat().st_size > 1000


# --- mistakes


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("nonsense", "invalid choice: 'nonsense' (choose from "),
        ("exampels", "argument COMMAND: invalid choice: 'exampels'; did you mean examples? (see tinygrad-nn --help)"),
        ("draw mine.py:z --detail layer", "argument --detail: invalid choice: 'layer'; did you mean layers? (see "),
        ("demo now", "unrecognized arguments: now"),
        ("demo --out mine.py", "cannot write to the folder mine.py: File exists; name another with --out"),
        ("examples chain_rul", "no example is called 'chain_rul': did you mean chain_rule?"),
        ("examples 99", "no example is called '99': there are 01_one_neuron, 02_chain_rule"),
        ("examples xor --out mine.py/below", "cannot write to the folder mine.py/below"),
        ("draw", "the following arguments are required: FILE.py:NAME"),
        ("draw mine.py", "draw needs FILE.py:NAME, the file and which of its names to draw, not 'mine.py'"),
        ("draw mine.py:1", "draw needs FILE.py:NAME"),
        ("draw other.py:z", "there is no file other.py"),
        ("draw notes.txt:z", "notes.txt is not a Python file"),
        ("draw mine.py:q", "mine.py has no name 'q'; there are t, x, y, z, network, loss, misfit, nothing"),
        ("draw mine.py:array", "array is array([1., 1., 1.]) of type ndarray, not a tensor"),
        ("draw mine.py:nothing", "nothing returned None of type NoneType, not a tensor"),
        ("draw mine.py:misfit", "mine.py, line 19: ShapeError: matmul: A has shape (2, 3), B has shape (2, 3)"),
        ("draw mine.py:z --wrt network", "--wrt network: no tensor of that name"),
        ("draw mine.py:z --wrt q", "leads to what is drawn; there are t, x, y, z"),
        ("draw mine.py:z --detail pixels", "invalid choice: 'pixels'"),
        ("draw mine.py:z -o z.bmp", "'.bmp'"),
        ("draw mine.py:z --steps --detail layers", "z cannot be drawn so: steps= shows the backward pass operation by"),
        ("draw mine.py:z -o no/such/z.svg", "cannot write "),
        ("draw syntax.py:z", "syntax.py, line 2: "),
        ("draw leaves.py:z", "leaves.py, line 2: SystemExit: 3"),
        ("draw imports.py:z", "imports.py, line 1: ModuleNotFoundError: No module named 'no_such_module'"),
    ],
)
def test_mistakes_are_answered_in_one_line(mine, capsys, command, answer):
    (mine / "notes.txt").write_text("z")
    (mine / "syntax.py").write_text("z = 1\nz = = 2\n")
    (mine / "leaves.py").write_text("import sys\nsys.exit(3)\n")
    (mine / "imports.py").write_text("import no_such_module\n")
    try:
        status = cli.main(command.split())
    except SystemExit as leaving:  # argparse
        status = leaving.code
    assert status == 2
    error = capsys.readouterr().err
    assert error.startswith("tinygrad-nn: error: ")
    assert answer in error
    assert error.count("\n") == 1


def test_interrupt_leaves_without_a_traceback(tmp_path, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_module, "train", interrupted)
    assert cli.main(["demo", "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "\ntinygrad-nn: interrupted\n"


@pytest.mark.skipif(os.name == "nt", reason="pipes end otherwise there")
def test_reader_that_has_seen_enough_is_no_error():
    script = "import sys; from tinygrad_nn.cli import main; sys.exit(main(['examples']))"
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.returncode == 0
    assert done.stderr == b""


# --- help and version


def test_version(capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"tinygrad-nn {tn.__version__}\n"


def test_every_command_that_can_be_said_can_be_run():
    assert set(cli.COMMANDS) == set(commands_of(make_parser(tn.__version__)))


def commands_of(parser):
    (action,) = (action for action in parser._actions if action.dest == "command")
    return action.choices


def test_without_a_command_there_is_help(capsys):
    assert cli.main([]) == 0
    printed = capsys.readouterr().out
    for command in cli.COMMANDS:
        assert re.search(rf"^ +{command} ", printed, re.M)


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as leaving:
        cli.main([command, "--help"])
    assert leaving.value.code == 0
    assert len(capsys.readouterr().out.splitlines()) > 5


# --- in a bare clone, before anything is installed


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Calls a copy of what `python3 tinygrad_nn` reads before it installs: no NumPy, no package."""
    folder = tmp_path_factory.mktemp("clone")
    (folder / "tinygrad_nn").mkdir()
    shutil.copy(ROOT / "pyproject.toml", folder)
    for name in ("__main__.py", "_bootstrap.py", "command_line.py"):
        shutil.copy(ROOT / "tinygrad_nn" / name, folder / "tinygrad_nn")

    def called(*arguments):
        command = [sys.executable, "-S", "tinygrad_nn", *arguments]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        assert not (folder / ".venv").exists(), "something was installed"
        return done

    return called


@pytest.mark.parametrize("arguments", [[], ["--help"]])
def test_a_bare_clone_names_all_commands(clone, arguments):
    done = clone(*arguments)
    assert done.returncode == 0, done.stderr
    for command in (*cli.COMMANDS, "test", "docs"):
        assert re.search(rf"^ +{command} ", done.stdout, re.M), command


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["frob"], "invalid choice: 'frob'"),
        (["dosc"], "argument COMMAND: invalid choice: 'dosc'; did you mean docs? (see python3 tinygrad_nn --help)"),
        (["draw"], "the following arguments are required: FILE.py:NAME (see python3 tinygrad_nn draw --help)"),
        (["demo", "--uot", "x"], "unrecognized arguments: --uot x"),
        (["docs", "extra"], "unrecognized arguments: extra"),
    ],
)
def test_a_bare_clone_refuses_before_it_installs(clone, arguments, said):
    done = clone(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("python3 tinygrad_nn: error: ")
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [*cli.COMMANDS, "test", "docs"])
def test_a_bare_clone_has_help_for_every_command(clone, command):
    done = clone(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"usage: python3 tinygrad_nn {command}" in done.stdout


def test_output_survives_an_encoding_without_arrows(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "tinygrad_nn", "examples", "chain_rule", "--out", str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert b"t ? x ? u ? s ? z" in done.stdout


def test_network_without_a_weight_matrix_is_refused(capsys):
    with pytest.raises(cli.UserError, match="no weight matrix"):
        cli.tensor_of(tn.nn.Sequential(), "net", Path("x.py"))


def test_chain_rule_example_is_that_of_the_post():
    t, z = demo_module.chain_rule_example()
    e = np.exp
    expected = 2 * np.cos(e(1.0) + 0.5**4) * (e(1.0) + 2 * 0.5**3)
    assert tn.gradients(z, t)[0] == pytest.approx(expected, rel=1e-14)
    assert tn.paths(z, t).count == 2


def test_play_writes_the_playground(tmp_path, capsys):
    assert cli.main(["play", "-o", str(tmp_path / "play.html")]) == 0
    assert f"page: {tmp_path / 'play.html'}" in capsys.readouterr().out
    assert "<textarea" not in (tmp_path / "play.html").read_text("utf-8")[:500]
    assert cli.main(["play", "-o", str(tmp_path / "play.pdf")]) == 2
    assert "give a name that ends in .html" in capsys.readouterr().err
