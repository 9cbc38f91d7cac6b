// Measures the pictures of a page as they are shown, and leaves what it finds as JSON in <output>.
function channel(x) { x /= 255; return x <= 0.03928 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4; }
function luminance([r, g, b]) { return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b); }
function rgb(color) { return (color.match(/[\d.]+/g) || []).map(Number); }
function contrast(a, b) {
  const [x, y] = [luminance(rgb(a)), luminance(rgb(b))].sort((p, q) => q - p);
  return (x + 0.05) / (y + 0.05);
}
function filled(shape) { const f = getComputedStyle(shape).fill; return f !== "none" && !f.startsWith("rgba(0, 0, 0, 0"); }
function inside(inner, outer, slack) {
  return inner.left >= outer.left - slack && inner.right <= outer.right + slack &&
    inner.top >= outer.top - slack && inner.bottom <= outer.bottom + slack;
}
function overlap(a, b) {
  return Math.min(Math.min(a.right, b.right) - Math.max(a.left, b.left), Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top));
}
function behind(text, shapes) { // the fill that is painted last below a text
  const place = text.getBoundingClientRect();
  let found = "rgb(255, 255, 255)";
  for (const shape of shapes) {
    if (text.compareDocumentPosition(shape) & Node.DOCUMENT_POSITION_FOLLOWING) break;
    const around = shape.getBoundingClientRect();
    const x = (place.left + place.right) / 2, y = (place.top + place.bottom) / 2;
    if (around.left <= x && x <= around.right && around.top <= y && y <= around.bottom && filled(shape)) found = getComputedStyle(shape).fill;
  }
  return found;
}
function apart(a, b) { // the least distance of the middle of one line from another line
  const scale = a.getScreenCTM().a, at = a.getPointAtLength(a.getTotalLength() / 2);
  let least = Infinity;
  for (let i = 0; i <= 60; i++) {
    const p = b.getPointAtLength(b.getTotalLength() * i / 60);
    least = Math.min(least, Math.hypot(p.x - at.x, p.y - at.y) * scale);
  }
  return least;
}
function measured(svg) {
  const shapes = [...svg.querySelectorAll("polygon, path, ellipse")].filter(s => s.tagName !== "path" || filled(s));
  const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
  const paper = getComputedStyle(svg.querySelector("polygon")).fill;
  const result = { paper, width: svg.getBoundingClientRect().width, smallest: Infinity, outside: [], overlapping: [], pale: [], faint: [], close: [] };
  for (const text of texts) {
    const size = parseFloat(getComputedStyle(text).fontSize) * text.getScreenCTM().a;
    result.smallest = Math.min(result.smallest, size);
    const c = contrast(getComputedStyle(text).fill, behind(text, shapes));
    if (c < 4.5) result.pale.push([text.textContent, c.toFixed(2)]);
    const node = text.closest("g.node"), place = text.getBoundingClientRect();
    if (node) {
      const own = [...node.querySelectorAll("polygon, path, ellipse, polyline")].map(s => s.getBoundingClientRect());
      if (own.length && !own.some(box => inside(place, box, 2))) result.outside.push(text.textContent);
    }
    if (!inside(place, svg.getBoundingClientRect(), 1)) result.outside.push(text.textContent);
  }
  const labels = texts.filter(t => t.closest("g.edge")).map(t => [t.textContent, t.getBoundingClientRect(), t.closest("g.edge")]);
  for (let i = 0; i < labels.length; i++) for (let j = i + 1; j < labels.length; j++)
    if (labels[i][2] !== labels[j][2] && overlap(labels[i][1], labels[j][1]) > 2) result.overlapping.push([labels[i][0], labels[j][0]]);
  const lanes = {};
  for (const edge of svg.querySelectorAll("g.edge")) {
    const line = edge.querySelector("path[fill=none]");
    if (!line) continue;
    const c = contrast(getComputedStyle(line).stroke, paper);
    if (c < 3) result.faint.push([edge.id, c.toFixed(2)]);
    (lanes[edge.id.split(".")[0]] ||= []).push([line, edge.querySelector("polygon")]);
  }
  for (const [id, some] of Object.entries(lanes)) for (let i = 1; i < some.length; i++) {
    const heads = [some[i - 1][1], some[i][1]].map(h => h && h.getBoundingClientRect());
    const between = heads[0] && heads[1] ? Math.hypot(heads[0].x - heads[1].x, heads[0].y - heads[1].y) : Infinity;
    const gap = Math.min(apart(some[i - 1][0], some[i][0]), between);
    if (gap < 6) result.close.push([id, gap.toFixed(1)]);
  }
  return result;
}
document.querySelector("output").textContent = JSON.stringify([...document.querySelectorAll("svg.tinygrad-nn")].map(measured));
