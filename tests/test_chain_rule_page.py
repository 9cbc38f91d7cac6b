"""Pages show the pictures that their code draws; those of chain_rule.md say the numbers that were checked by hand."""

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from pictures import words_of

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"

_spec = importlib.util.spec_from_file_location("figures", ROOT / "docs" / "figures.py")
figures = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(figures)

# file name -> what the page says instead of the picture
SHOWN = {
    name: (page, said)
    for page in figures.PAGES
    for said, name in re.findall(r"^!\[(.*)\]\(images/(.*\.svg)\)$", page.read_text("utf-8"), re.M)
}


def said_by(svg: Path) -> list[str]:
    """What a picture says, but for the lines of the page, which move as it is edited."""
    return sorted(re.sub(r" ?made at line \d+ of \S+", "", words) for words in words_of(svg))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures")
    return {path.name: path for page in figures.PAGES for path in figures.make(folder, page)}


def test_the_pages_show_every_figure_that_they_make(made):
    assert (
        set(SHOWN) == set(made) == {path.name for page in figures.PAGES for path in IMAGES.glob(f"{page.stem}_*.svg")}
    )


@pytest.mark.parametrize("name", SHOWN)
def test_figure_is_what_the_page_draws(name, made):
    assert said_by(IMAGES / name) == said_by(made[name]), "renew it: python docs/figures.py"


@pytest.mark.parametrize("page", figures.PLOTS, ids=lambda page: page.stem)
def test_pages_show_and_describe_every_plot_that_they_save(page):
    text = page.read_text("utf-8")
    saved = set(re.findall(r'savefig\("(.*\.png)"', text))
    said = {name: words for words, name in re.findall(r"^!\[(.*)\]\(images/(.*\.png)\)$", text, re.M)}
    assert saved == set(said) == {path.name for path in IMAGES.glob(f"{page.stem}_*.png")}
    assert min(map(len, said.values())) > 60


@pytest.mark.parametrize("name", SHOWN)
def test_figure_is_described_in_words_and_says_where_it_was_made(name):
    page, said = SHOWN[name]
    assert len(said) > 60
    root = ET.parse(IMAGES / name).getroot()
    assert root.get("role") == "img"
    lines = page.read_text("utf-8").splitlines()
    for number in re.findall(rf"made at line (\d+) of {page.name}", (IMAGES / name).read_text("utf-8")):
        assert lines[int(number) - 1].startswith((">>> ", "... ")), "renew it: python docs/figures.py"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("two_paths", ["−5.0865", "−0.4678", "−5.5543", "✓"]),
        ("used_twice", ["a = 3", "6", "✓"]),
        ("doubled_twice", ["4", "✓"]),
        ("backward_pass", ["u has received 2 of 2, and fires: it sends 36 to t", "✓ done"]),
        ("mistake_assign", ["✗ wrong: ∂z/∂t came out as 16, and is 36"]),
        ("mistake_order", ["2 of 2, too late", "✗ wrong: ∂z/∂t came out as 20, and is 36"]),
        ("flow", ["2", "3", "5", "✓"]),
        ("factored", ["310", "9 paths", "path by path: 39; by backpropagation: 12", "✓"]),
        ("residual", ["4 paths", "✓"]),
        ("cancellation", ["Σ|p| = 10, of which 100 % cancel", "✓"]),
        ("arrays", ["50 %", "2.25", "−9.25", "✓"]),
        ("network", ["−1.25", "1.5", "−0.5", "2.5", "3.25"]),
        ("inside", ["1.5 × 1", "1.5 × 0.5", "0.75"]),
        ("fan_out", ["2 × (−0.5)", "−1", "1 × 2.5", "gives δ₁ = 1.5"]),
        ("blocked", ["−0.25", "−5", "gives δ₃ = 0, blocked"]),
    ],
)
def test_figure_says_the_numbers_of_the_acceptance_list(name, said):
    words = "\n".join(words_of(IMAGES / f"chain_rule_{name}.svg"))
    for text in said:
        assert text in words
    assert name.startswith("mistake") or "✗" not in words
