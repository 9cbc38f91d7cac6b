// Saves the present picture as an SVG file, in the colours that it has on the page.

const LOOK = [
  "fill",
  "fill-opacity",
  "stroke",
  "stroke-width",
  "stroke-dasharray",
  "font-size",
  "font-weight",
  "font-style",
  "font-family",
  "opacity",
  "text-decoration",
  "paint-order",
  "stroke-linejoin",
];

/** An SVG text with all that style sheets say written to the elements. */
export function standalone(drawing, page) {
  const copy = drawing.cloneNode(true);
  const from = [drawing, ...drawing.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, i) => {
    const style = getComputedStyle(from[i]);
    for (const name of LOOK)
      if (style.getPropertyValue(name)) element.style.setProperty(name, style.getPropertyValue(name));
    for (const name of ["tabindex", "role", "aria-label"]) element.removeAttribute(name);
  });
  copy.style.setProperty("background", getComputedStyle(page).backgroundColor);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy);
}

/** Offer a text as a download. */
export function download(text, title, ending, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  const name = `${title.replace(/[^\p{L}\p{N}]+/gu, "_").slice(0, 40) || "picture"}.${ending}`;
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}
