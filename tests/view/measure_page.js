// What a reader can see of the living page `page`: the smallest type, pale texts, texts outside their boxes, labels that
// hide each other, its width.
const channels = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
const light = (color) => channels(color).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const paper = getComputedStyle(page.root).backgroundColor;
const seen = (e) => e.getClientRects().length && e.textContent.trim() && getComputedStyle(e).visibility !== "hidden";
const texts = [...page.root.querySelectorAll("*")].filter((e) => seen(e) && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && !["TITLE", "title", "OPTION"].includes(e.tagName));
/** The colour behind an element: of its cell, its box, its button, or of the page. */
function behind(e) {
  const frame = e.closest(".box")?.querySelector(".frame") ?? e.closest(".unit")?.querySelector("circle, rect");
  const color = frame ? getComputedStyle(frame).fill : paper;
  const cell = e.closest(".heat") && e.parentElement.querySelector("rect:not(.under)");
  if (cell) {
    const { fill, fillOpacity, opacity } = getComputedStyle(cell);
    const [part, over, under] = [fillOpacity * opacity, channels(fill), channels(paper)];
    return `rgb(${over.slice(0, 3).map((c, i) => part * c + (1 - part) * under[i])})`;
  }
  const button = e.closest("button");
  return button ? getComputedStyle(button).backgroundColor : color;
}
const pale = [], outside = [], hidden = [];
let smallest = 99;
for (const e of texts) {
  const style = getComputedStyle(e);
  smallest = Math.min(smallest, parseFloat(style.fontSize));
  const vector = e instanceof SVGElement;
  if (e.closest("button:disabled")) continue;
  const ratio = contrast(vector ? style.fill : style.color, behind(e));
  if (ratio < 4.5) pale.push([e.textContent, ratio]);
}
for (const box of page.root.querySelectorAll(".drawing:not(.neurons) .box")) {
  const frame = box.querySelector(".frame").getBoundingClientRect();
  if (!frame.width) continue;
  for (const text of box.querySelectorAll("text")) {
    const at = text.getBoundingClientRect();
    if (text.textContent && (at.left < frame.left - 1 || at.right > frame.right + 1 || at.top < frame.top - 1 || at.bottom > frame.bottom + 1)) outside.push([box.dataset.id, text.textContent]);
  }
}
const labels = [...page.root.querySelectorAll(".drawing:not(.neurons) .on-arrow")].filter((e) => e.textContent && e.getClientRects().length);
labels.forEach((one, i) => {
  const [a, frames] = [one.getBoundingClientRect(), [...page.root.querySelectorAll(".drawing:not(.neurons) .frame")]];
  const covers = (b) => Math.min(a.right, b.right) - Math.max(a.left, b.left) > 3 && Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 4;
  for (const other of [...labels.slice(i + 1), ...frames]) if (covers(other.getBoundingClientRect())) hidden.push([one.textContent, other.textContent]);
});
/** Labels that the line of their own arrow runs through. */
const crossed = [...page.drawing.arrows.values()].filter(({ group, text }) => {
  const at = text.getBoundingClientRect();
  if (!at.width || !group.getClientRects().length) return false;
  return [...group.querySelectorAll(".line")].some((line) => {
    const [matrix, steps] = [line.getScreenCTM(), Math.ceil(line.getTotalLength() / 2)];
    return Array.from({ length: steps }, (_, i) => line.getPointAtLength(2 * i).matrixTransform(matrix))
      .some(({ x, y }) => x > at.left && x < at.right && y > at.top + 2 && y < at.bottom - 2);
  });
}).map(({ text }) => text.textContent);
return { crossed, smallest, pale, outside, hidden, wide: document.documentElement.scrollWidth };
