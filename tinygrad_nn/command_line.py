"""What can be said on the command line: commands, arguments and help, with the standard library only.

`cli` runs what is said. `_bootstrap` reads this file in a bare clone, before NumPy is there: a wrong command is refused
before anything is installed.
"""

from __future__ import annotations

import argparse
import difflib
import re
from pathlib import Path
from typing import NoReturn

__all__ = ["PROGRAM", "make_parser"]

PROGRAM = "tinygrad-nn"
CLONE = "python3 tinygrad_nn"  # how the program is called in a clone, where it can do two things more
LEVELS = ("ops", "layers", "neurons")
_PICTURE = "file to write; its ending says what: .svg .png .pdf .dot ... (default: NAME.svg in the current folder)"
_OUT = "folder for the pictures, made if need be (default: ./%(default)s)"


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments, and where help is."""

    def error(self, message: str) -> NoReturn:
        wrong = re.fullmatch(r"(.*invalid choice: '(.*)') \(choose from (.*)\)", message)
        if wrong is not None:
            choices = [choice.strip("'") for choice in wrong[3].split(", ")]
            near = difflib.get_close_matches(wrong[2], choices, n=1)
            if near:
                message = f"{wrong[1]}; did you mean {near[0]}?"
        program = CLONE if self.prog.startswith(CLONE) else PROGRAM
        self.exit(2, f"{program}: error: {message} (see {self.prog} --help)\n")


def make_parser(version: str, clone: bool = False) -> Parser:
    """The parser of the command line; what it returns names the command in `command`, None where none was given.

    clone : name what only a clone of the project can do, too: its tests and its site.
    """
    program = CLONE if clone else PROGRAM
    parser = Parser(prog=program, description="An autograd for learners: every gradient drawn as a sum over paths.")
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {version}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for add in (_demo, _examples, _draw, _play, _export, _predict):
        add(commands)
    if clone:
        _test(commands)
        _docs(commands)
    return parser


def _demo(commands: argparse._SubParsersAction[Parser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="train on handwritten digits, draw the graph, explain the chain rule (a few seconds)",
        description="Trains a network on handwritten digits, draws the graph of one training step, shows the chain "
        "rule as a sum over paths and checks gradients against finite differences. Needs no internet connection.",
    )
    demo.add_argument("--out", type=Path, default=Path("tinygrad_nn_demo"), metavar="DIR", help=_OUT)


def _examples(commands: argparse._SubParsersAction[Parser]) -> None:
    examples = commands.add_parser(
        "examples",
        help="list the examples, or run one",
        description="Without NAME, lists the examples in reading order. With NAME, runs that one: it prints numbers "
        "and writes pictures into DIR. Each is a program of under 60 lines, to be read and changed.",
    )
    examples.add_argument("name", nargs="?", metavar="NAME", help="such as 02_chain_rule or chain_rule; `all` runs all")
    examples.add_argument("--out", type=Path, default=Path("tinygrad_nn_examples"), metavar="DIR", help=_OUT)


def _draw(commands: argparse._SubParsersAction[Parser]) -> None:
    draw = commands.add_parser(
        "draw",
        help="draw a tensor of a Python file with everything it was computed from",
        description="Runs FILE.py and draws NAME of it: a tensor, a function without arguments that returns one, or a "
        "network (a Module, drawn with one random column as its input).",
    )
    draw.add_argument("what", metavar="FILE.py:NAME", help="which file, and which of its names")
    draw.add_argument("-o", "--out", type=Path, metavar="PICTURE", help=_PICTURE)
    draw.add_argument("--wrt", metavar="NAME", help="show the paths from this tensor and their sum, the gradient")
    draw.add_argument("--detail", choices=LEVELS, default="ops", help="what a box stands for (default: %(default)s)")
    draw.add_argument(
        "--steps", action="store_true", help="show the backward pass step by step: .svg .gif .html, or a file a step"
    )


def _play(commands: argparse._SubParsersAction[Parser]) -> None:
    play = commands.add_parser(
        "play",
        help="open a page on which typed lines become a living computation graph",
        description="Writes the playground, a page that works without a network, and opens it in a browser.",
    )
    play.add_argument("-o", "--out", type=Path, metavar="PAGE.html", help="write it to this file instead of opening it")


def _export(commands: argparse._SubParsersAction[Parser]) -> None:
    export = commands.add_parser(
        "export",
        help="write a saved network as an ONNX model, which other programs run",
        description="Reads a checkpoint that model.save has written, and writes what its network computes in "
        "prediction, for any number of examples. Needs the extra `onnx`.",
    )
    export.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .safetensors or .npz file")
    export.add_argument("out", type=Path, metavar="MODEL.onnx", help="file to write")
    export.add_argument(
        "--shape",
        metavar="N,N,...",
        help="of one example, without the axis of the examples (default: what the first layer takes)",
    )


def _predict(commands: argparse._SubParsersAction[Parser]) -> None:
    predict = commands.add_parser(
        "predict",
        help="what a saved model says about the rows of a CSV file",
        description="Loads MODEL, a tn.nn.Predictor saved by model.save(path), and writes a prediction for each row of "
        "DATA.csv: the raw file, as it was in training, with or without the column to predict. How the file is read "
        "is known from training; the options are for files that are written in another way.",
    )
    predict.add_argument("model", type=Path, metavar="MODEL", help="a .safetensors or .npz file")
    predict.add_argument("data", type=Path, metavar="DATA.csv", help="one example a line, under a line of names")
    predict.add_argument("-o", "--out", type=Path, metavar="FILE.csv", help="write to this file (default: print)")
    predict.add_argument("--proba", action="store_true", help="a probability for each class, instead of the class")
    predict.add_argument("--ignore-extra", action="store_true", help="leave out columns that training did not have")
    predict.add_argument("--delimiter", metavar="CHARACTER", help="what separates cells, such as ';'")
    predict.add_argument("--decimal", choices=(".", ","), help="what is written before the decimals")
    predict.add_argument("--comment", metavar="TEXT", help="how lines begin that are left out, such as '#'")
    predict.add_argument("--encoding", metavar="NAME", help="of the file, such as cp1252")
    predict.add_argument("--missing", metavar="TEXT", action="append", help="what stands in gaps, too; may be repeated")


def _test(commands: argparse._SubParsersAction[Parser]) -> None:
    # its arguments are pytest's: `_bootstrap` hands them on without reading them
    commands.add_parser("test", help="run all tests; arguments after `test` go to pytest")


def _docs(commands: argparse._SubParsersAction[Parser]) -> None:
    docs = commands.add_parser(
        "docs",
        help="build the site, with the course and the reference, and open it (minutes)",
        description="Executes every page, example and lesson, and makes the site of them. With --notebooks it only "
        "writes the lessons of the course as notebooks, without running them.",
    )
    docs.add_argument("--out", type=Path, default=Path("tinygrad_nn_docs"), metavar="DIR", help="folder of the site")
    docs.add_argument(
        "--notebooks", type=Path, metavar="DIR", help="only write the twelve lessons into DIR as notebooks (seconds)"
    )
    docs.add_argument("--no-open", action="store_true", help="do not open it in a browser")
