"""A real table to try things with: 344 penguins, with categories and gaps."""

from pathlib import Path

__all__ = ["penguins_csv"]


def penguins_csv() -> Path:
    """The path of a CSV file: 344 penguins near Palmer Station, Antarctica, in 8 columns, with 19 gaps.

    Species (Adelie, Chinstrap, Gentoo), island, length and depth of the bill and length of the flipper in mm, body mass
    in g, sex, and year.

    Source: K. B. Gorman, T. D. Williams, W. R. Fraser, PLoS ONE 9(3), 2014; A. M. Horst, A. P. Hill, K. B. Gorman,
    palmerpenguins, 2020; in the public domain (CC0), see penguins.LICENSE.txt beside it.

    >>> from tinygrad_nn.data import load_table
    >>> load_table(penguins_csv(), columns=["species", "body_mass_g", "sex"])
    Table of 344 rows
      species      text     3 different: 'Adelie' 152, 'Gentoo' 124, 'Chinstrap' 68
      body_mass_g  numbers  2700 to 6300, 2 gaps
      sex          text     2 different: 'male' 168, 'female' 165, 11 gaps
    """
    return Path(__file__).with_name("penguins.csv")
