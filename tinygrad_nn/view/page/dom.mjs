// Elements of the page: made once, then patched only where something has changed.

const SVG = "http://www.w3.org/2000/svg";

function made(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else set(element, name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** An HTML element; texts among its children stay texts. */
export const html = (tag, attributes, ...children) => made(document.createElement(tag), attributes, children);

/** An SVG element. */
export const svg = (tag, attributes, ...children) => made(document.createElementNS(SVG, tag), attributes, children);

/** Set an attribute if it has changed; null, undefined and false remove it. */
export function set(element, name, value) {
  if (value === null || value === undefined || value === false) {
    if (element.hasAttribute(name)) element.removeAttribute(name);
  } else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

/** Set the text of an element if it has changed. */
export function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set whether an element has a class. */
export const mark = (element, name, on) => element.classList.toggle(name, Boolean(on));

/** As many children as there are items: `make` makes the missing ones, `patch(child, item, i)` fills each. */
export function list(parent, items, make, patch) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, i) => {
    if (i >= parent.children.length) parent.append(make(item, i));
    patch(parent.children[i], item, i);
  });
}
