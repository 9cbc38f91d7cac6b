"""What tests read from a living page that is open in a browser."""

import re


def living(page, script, *args):
    """The value of a script about `page`, the living page, as JSON."""
    return page.evaluate(
        f"(args) => {{ const page = document.querySelector('[data-live]').page; {script} }}", list(args)
    )


def numbers(page, what, node):
    return living(page, f"return [...page.graph.{what}(args[0]).data]", node)


def total(page):
    return page.locator("tr.total td").nth(4).inner_text()


def told(page, name):
    """What the panel says of a node."""
    entry = page.locator("section.inspect dt", has_text=re.compile(f"^{name}$"))
    return entry.locator("xpath=following-sibling::dd[1]").inner_text()
