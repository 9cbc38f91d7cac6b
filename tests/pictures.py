"""What a picture says, to compare two of them."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path


def words_of(svg: Path) -> list[str]:
    """Title, description, labels and tooltips, whichever engine laid them out.

    Numbers of more than 12 digits are rounded: the last ones depend on which instructions the processor has.
    """
    said = []
    for element in ET.parse(svg).iter():
        if element.tag.rpartition("}")[2] in {"title", "desc", "text"}:
            words = " ".join("".join(element.itertext()).split())
            words = re.sub(r"\bline \d+ of (\w+\.md)", r"a line of \1", words)  # pages grow
            said.append(re.sub(r"\d+\.\d{12,}(e[-+]\d+)?", lambda number: f"{float(number[0]):.12g}", words))
    return sorted(filter(None, said))
