"""Formulas and names as LaTeX that compiles with nothing but amsmath."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from tinygrad_nn.view.text import clean

__all__ = ["document", "escape", "math", "worksheet"]

_SYMBOLS = {
    "α": r"\alpha", "β": r"\beta", "γ": r"\gamma", "δ": r"\delta", "ε": r"\varepsilon", "η": r"\eta", "θ": r"\theta",
    "κ": r"\kappa", "λ": r"\lambda", "μ": r"\mu", "ν": r"\nu", "ξ": r"\xi", "π": r"\pi", "ρ": r"\rho", "σ": r"\sigma",
    "τ": r"\tau", "φ": r"\varphi", "χ": r"\chi", "ψ": r"\psi", "ω": r"\omega", "Γ": r"\Gamma", "Δ": r"\Delta",
    "Θ": r"\Theta", "Λ": r"\Lambda", "Σ": r"\Sigma", "Φ": r"\Phi", "Ψ": r"\Psi", "Ω": r"\Omega", "∂": r"\partial",
    "∇": r"\nabla", "·": r"\cdot", "×": r"\times", "⊙": r"\odot", "∘": r"\circ", "−": "-", "→": r"\to",
    "←": r"\leftarrow", "≤": r"\le", "≥": r"\ge", "≠": r"\ne", "≈": r"\approx", "∞": r"\infty", "…": r"\dots",
    "∧": r"\wedge", "∨": r"\vee", "¬": r"\neg", "√": r"\surd", "∛": r"\sqrt[3]{\,}", "‖": r"\Vert", "∥": r"\Vert",
    "′": "'", "✓": r"\surd", "✗": r"\times", "–": r"\text{--}", "—": r"\text{---}", "±": r"\pm", "½": r"\tfrac12",
    "ŷ": r"\hat y", "ℓ": r"\ell", "⟨": r"\langle", "⟩": r"\rangle", "ᵀ": r"^{\top}", "%": r"\,\%", "&": r"\&",
    "#": r"\#", "$": r"\$", "_": r"\_", "{": r"\{", "}": r"\}", "~": r"\sim", "\\": r"\backslash", "^": r"\hat{\ }",
    "|": r"\vert", "\"": "''", "`": "`", "<": "<", ">": ">",
}  # fmt: skip
_UPPER = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹⁻", "0123456789-", strict=True)) | {"ᵀ": r"\top "}
_LOWER = dict(zip("₀₁₂₃₄₅₆₇₈₉₋ₖ", "0123456789-k", strict=True))
_FUNCTIONS = {
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh", "exp", "log", "max", "min", "det",
}  # fmt: skip
_QUOTIENT = re.compile(r"(?<!\w)([∂d])([^\s·+/=()∂]+)/\1([^\s·+/=()∂]+)")
_TOKEN = re.compile(
    rf"[{''.join(_UPPER)}]+|[{''.join(_LOWER)}]+|"
    r"[A-Za-z][A-Za-z0-9_]*|\^\([^()]*\)|\^[\w.]+|\d+(?:\.\d+)?(?:e[−-]?\d+)?|.",
    re.DOTALL,
)
_TIGHT = set("+−·=,→<>≤≥⊙/ ")  # signs that TeX spaces itself


def math(text: str) -> str:
    r"""A formula as it stands in the pictures, for math mode.

    >>> math("cos(v₃)·2x²"), math("W¹ᵀ ·")
    ('\\cos (v_{3})\\cdot 2x^{2}', 'W^{1\\top } \\cdot')
    """
    text = clean(text)
    quotient = _QUOTIENT.search(text)
    if quotient:
        before, after = math(text[: quotient.start()]), math(text[quotient.end() :])
        d, y, x = quotient.groups()
        d = r"\partial " if d == "∂" else "d"
        return rf"{before}\frac{{{d}{math(y)}}}{{{d}{math(x)}}}{after}"
    parts: list[str] = []
    for token in _TOKEN.finditer(text):
        part = _blank(text, token.start()) if token[0] == " " else _token(token[0])
        parts.append(_raised(parts, part))
    return "".join(parts).strip()


def _blank(text: str, i: int) -> str:
    between = 0 < i < len(text) - 1 and not {text[i - 1], text[i + 1]} & _TIGHT
    return r"\," if between else " "


def _raised(parts: list[str], part: str) -> str:
    """TeX refuses a second superscript on one letter: it gets an empty one to stand on."""
    twice = parts and part[:1] in "^_'" and parts[-1][:1] in "^_'" and (part[0] == "_") == (parts[-1][0] == "_")
    return "{}" + part if twice else part


def _token(token: str) -> str:
    for kind, table in (("^", _UPPER), ("_", _LOWER)):
        if token[0] in table:
            return f"{kind}{{{''.join(table[c] for c in token)}}}"
    if token in _FUNCTIONS:
        return f"\\{token} "
    if token[0].isascii() and token[0].isalpha():
        return token if len(token) == 1 else r"\mathrm{" + token.replace("_", r"\_") + "}"
    if token.startswith("^"):
        return f"^{{{math(token[1:].strip('()'))}}}"
    if token[0].isdigit():
        mantissa, _, exponent = token.partition("e")
        return rf"{mantissa}\cdot 10^{{{exponent.replace('−', '-')}}}" if exponent else mantissa
    if token in _SYMBOLS:
        symbol = _SYMBOLS[token]
        return symbol + " " if symbol[-1:].isalpha() and symbol.startswith("\\") else symbol
    return token if token.isascii() else rf"\text{{{escape(token)}}}"


_TEXT = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "_": r"\_", "%": r"\%",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "[": "{[}", "]": "{]}",
    '"': r"{\ttfamily\char34}",
}  # fmt: skip


def escape(text: str) -> str:
    r"""Text outside of formulas.  What ASCII does not have is set as a formula, or named by its code.

    >>> escape('<b>&"x'), escape("50 % ✓")
    ('\\textless{}b\\textgreater{}\\&{\\ttfamily\\char34}x', '50 \\% $\\surd$')
    """
    written = []
    for c in clean(text):
        if c in _TEXT:
            written.append(_TEXT[c])
        elif c.isascii():
            written.append(c)
        elif c in _UPPER or c in _LOWER:
            written.append(f"${{}}{math(c)}$")
        elif c in _SYMBOLS:
            written.append(f"${_SYMBOLS[c]}$")
        elif c == "\u2007":
            written.append(r"\phantom{0}")
        else:
            written.append(rf"\texttt{{U+{ord(c):04X}}}")
    return "".join(written)


def document(body: str, *packages: str, options: str = "border=6pt") -> str:
    """A document of the class `standalone`, which is as large as what it shows."""
    used = "\n".join(rf"\usepackage{{{package}}}" for package in ("amsmath", *packages))
    return f"\\documentclass[{options}]{{standalone}}\n{used}\n\\begin{{document}}\n{body}\n\\end{{document}}\n"


def worksheet(title: str, pictures: Sequence[str], asked: Iterable[tuple[str, str, str]]) -> str:
    """A document of two pages, for pictures with gaps and without."""
    asked = list(asked)
    gap = r"\underline{\hspace{3cm}}"
    questions = [rf"\item[({k})] ${math(what)} =$ {gap}" for k, what, _ in asked]
    answers = [rf"\item[({k})] ${math(what)} = {math(x)}$" for k, what, x in asked]
    parts = [
        rf"\section*{{{escape(title + more)}}}"
        "\n"
        rf"\begin{{adjustbox}}{{max width=\linewidth,max totalheight=0.66\textheight}}{picture}\end{{adjustbox}}"
        "\n"
        r"\begin{description}"
        "\n" + "\n".join(items) + "\n"
        r"\end{description}"
        for picture, items, more in zip(pictures, (questions, answers), ("", ": solution"), strict=True)
    ]
    return "\n".join([_WORKSHEET, parts[0], r"\newpage", parts[1], r"\end{document}", ""])


_WORKSHEET = r"""\documentclass[a4paper]{article}
\usepackage[margin=2cm]{geometry}
\usepackage{amsmath,tikz,adjustbox}
\usepackage[T1]{fontenc}
\setlength\parindent{0pt}
\pagestyle{empty}
\begin{document}"""
