// What a reader can see of the living page `page`: the smallest type, pale texts, texts outside their boxes, its width.
const channels = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0]).map(Number);
const light = (color) => channels(color).slice(0, 3).map((c) => c / 255)
  .map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)).reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const contrast = (a, b) => (Math.max(light(a), light(b)) + 0.05) / (Math.min(light(a), light(b)) + 0.05);
const paper = getComputedStyle(page.root).backgroundColor;
const seen = (e) => e.getClientRects().length && e.textContent.trim() && getComputedStyle(e).visibility !== "hidden";
const texts = [...page.root.querySelectorAll("*")].filter((e) => seen(e) && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) && !["TITLE", "title", "OPTION"].includes(e.tagName));
const pale = [], outside = [];
let smallest = 99;
for (const e of texts) {
  const style = getComputedStyle(e);
  smallest = Math.min(smallest, parseFloat(style.fontSize));
  const vector = e instanceof SVGElement;
  if (e.closest(".heat") || e.closest(".faint") || e.closest(".box.lit") || e.closest(".box.done") || e.closest("button")) continue;
  const ratio = contrast(vector ? style.fill : style.color, paper);
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
return { smallest, pale, outside, wide: document.documentElement.scrollWidth };
