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
function placesAlong(line, step) { // points of a line, on the screen
  const m = line.getScreenCTM(), n = Math.max(2, Math.ceil(line.getTotalLength() * m.a / step));
  return Array.from({ length: n + 1 }, (_, i) => line.getPointAtLength(line.getTotalLength() * i / n).matrixTransform(m));
}
function holds(box, p, by) { return p.x > box.left - by && p.x < box.right + by && p.y > box.top - by && p.y < box.bottom + by; }
function within(shape, p, by) { // whether a point of the screen is in a box: of a circle, in the circle
  const box = shape.getBoundingClientRect();
  if (shape.tagName !== "ellipse") return holds(box, p, by);
  const x = (p.x - (box.left + box.right) / 2) / (box.width / 2 + by), y = (p.y - (box.top + box.bottom) / 2) / (box.height / 2 + by);
  return x * x + y * y < 1;
}
function corners(place) {
  const [x, y] = [(place.left + place.right) / 2, (place.top + place.bottom) / 2];
  return [[place.left, place.top], [place.right, place.top], [place.left, place.bottom], [place.right, place.bottom], [x, place.top], [x, place.bottom], [place.left, y], [place.right, y]].map(([x, y]) => ({ x, y }));
}
function outline(node) { // the largest shape of a box; none where it is only text
  const area = shape => { const r = shape.getBoundingClientRect(); return r.width * r.height; };
  return [...node.querySelectorAll("polygon, path, ellipse")].filter(s => getComputedStyle(s).stroke !== "none" || s.tagName === "path").sort((a, b) => area(b) - area(a))[0];
}
function tip(head) { // Graphviz draws a head from one side to the tip and the other side
  const p = head.points.numberOfItems > 2 ? head.points.getItem(1) : head.points.getItem(0);
  return p.matrixTransform(head.getScreenCTM());
}
function arrows(svg) {
  return [...svg.querySelectorAll("g.edge")].map(edge => {
    const line = edge.querySelector("path[fill=none]");
    if (!line) return null;
    const color = line.getAttribute("stroke");
    const heads = [...edge.querySelectorAll("polygon")].filter(p => p.getAttribute("fill") === color && p.points.numberOfItems < 6);
    const badges = [...edge.querySelectorAll("polygon")].filter(p => filled(p) && !heads.includes(p));
    return { id: edge.id, edge, line, heads: heads.filter(h => !badges.includes(h) && placesAlong(line, 3).some(p => Math.hypot(p.x - tip(h).x, p.y - tip(h).y) < 24)),
      badges, points: placesAlong(line, 1.5), half: parseFloat(getComputedStyle(line).strokeWidth) * line.getScreenCTM().a / 2 };
  }).filter(Boolean);
}
function routing(svg, texts) { // what arrows, heads, labels and boxes do to each other
  const found = { pierced: [], crowded: [], through: [], covered: [], foreign: [], touching: [], poking: [], entering: [], cut: [], border: [] };
  const lines = arrows(svg), boxes = [...svg.querySelectorAll("g.node")].map(node => ({ node, id: node.id, shape: outline(node) })).filter(b => b.shape);
  for (const a of lines) for (const head of a.heads) for (const b of lines) {
    if (a === b) continue;
    const inverse = head.getScreenCTM().inverse();
    const meets = p => [[0, 0], [b.half, 0], [-b.half, 0], [0, b.half], [0, -b.half]].some(([dx, dy]) => head.isPointInFill(new DOMPoint(p.x + dx, p.y + dy).matrixTransform(inverse)));
    if (b.points.some(meets)) found.pierced.push([a.id, b.id]);
    for (const other of b.heads) if (a.id < b.id) {
      const gap = Math.hypot(tip(head).x - tip(other).x, tip(head).y - tip(other).y);
      if (gap < 6) found.crowded.push([a.id, b.id, gap.toFixed(1)]);
    }
  }
  for (const a of lines) for (const head of a.heads) {
    const p = tip(head);
    const base = head.points.getItem(0).matrixTransform(head.getScreenCTM()), other = head.points.getItem(Math.min(2, head.points.numberOfItems - 1)).matrixTransform(head.getScreenCTM());
    const dx = p.x - (base.x + other.x) / 2, dy = p.y - (base.y + other.y) / 2, length = Math.hypot(dx, dy) || 1;
    const flank = Math.hypot(p.x - base.x, p.y - base.y), wide = Math.hypot(base.x - other.x, base.y - other.y) / 2;
    const beyond = getComputedStyle(head).stroke === "none" || !wide ? 0 : a.half * flank / wide; // the outline's mitre
    const end = { x: p.x + dx / length * beyond, y: p.y + dy / length * beyond };
    for (const box of boxes) if (within(box.shape, end, -2.5)) found.entering.push([a.id, box.id]);
  }
  for (const a of lines) {
    const ends = [a.points[0], a.points[a.points.length - 1]];
    for (const box of boxes) {
      if (ends.some(p => within(box.shape, p, 14))) continue; // it begins or ends there
      if (a.points.some(p => within(box.shape, p, -1))) found.through.push([a.id, box.id]);
    }
    for (const b of lines) for (const badge of b.badges) {
      const place = badge.getBoundingClientRect();
      if (place.height > 12 && a.points.some(p => holds(place, p, a.half - 0.5))) found.covered.push([b.id, a.id]);
    }
  }
  const bare = texts.filter(t => t.closest("g.edge") || (t.closest("g.node") && !outline(t.closest("g.node"))));
  for (const text of bare) {
    const r = text.getBoundingClientRect(), place = { left: r.left + 1, right: r.right - 1, top: r.top + 3, bottom: r.bottom - 3 };
    for (const box of boxes) if (corners(place).some(p => within(box.shape, p, 0))) found.foreign.push([text.textContent, box.id]);
    const halo = getComputedStyle(text).paintOrder.startsWith("stroke") && getComputedStyle(text).stroke !== "none";
    if (!halo && lines.some(a => a.points.some(p => holds(place, p, 0)))) found.cut.push(text.textContent);
  }
  const groups = texts.map(t => [t, t.closest("g.edge, g.node, g.cluster"), t.getBoundingClientRect()]);
  for (let i = 0; i < groups.length; i++) for (let j = i + 1; j < groups.length; j++) {
    const [a, one, here] = groups[i], [b, two, there] = groups[j];
    if ((one !== two || (!one && !two)) && overlap(here, there) > (one && two ? 2 : 4)) found.touching.push([a.textContent, b.textContent]);
  }
  for (const box of boxes) {
    const around = box.shape.getBoundingClientRect();
    for (const rule of box.node.querySelectorAll("polygon")) {
      const r = rule.getBoundingClientRect();
      if (r.height < 3 && r.width > 20 && (r.left < around.left - 0.2 || r.right > around.right + 0.2)) found.poking.push(box.id);
    }
    const paper = getComputedStyle(svg.querySelector("polygon")).fill;
    for (const shape of box.node.querySelectorAll("polygon, path, ellipse")) { // its frame, perhaps a double one
      const stroke = getComputedStyle(shape).stroke, frame = inside(around, shape.getBoundingClientRect(), 6);
      if (frame && stroke !== "none" && !stroke.startsWith("rgba") && contrast(stroke, paper) < 3) found.border.push(box.id);
    }
  }
  return found;
}
function grey(svg) { // what tells paths and signs apart where there is no colour
  const dashes = {}, signs = {}, alike = [];
  for (const line of svg.querySelectorAll("g.edge path[fill=none]")) {
    const edge = line.closest("g.edge"), lane = (edge.getAttribute("class").match(/path(\d+)/) || [])[1];
    const style = getComputedStyle(line), dash = style.strokeDasharray;
    if (lane && !edge.classList.contains("sends")) (dashes[lane] ||= new Set()).add(dash);
    else (signs[line.getAttribute("stroke")] ||= new Set()).add(dash);
  }
  const compare = table => {
    const some = Object.entries(table);
    for (let i = 0; i < some.length; i++) for (let j = i + 1; j < some.length; j++)
      if ([...some[i][1]].some(d => some[j][1].has(d))) alike.push([some[i][0], some[j][0]]);
  };
  compare(dashes);
  const [blue, orange] = ["#0072b2", "#d55e00"];
  compare(Object.fromEntries(Object.entries(signs).filter(([color]) => color === blue || color === orange)));
  return { alike, lanes: Object.keys(dashes).length, signs: Object.keys(signs).length };
}
function measured(svg) {
  const shapes = [...svg.querySelectorAll("polygon, path, ellipse")].filter(s => s.tagName !== "path" || filled(s));
  const texts = [...svg.querySelectorAll("text")].filter(t => t.textContent.trim());
  const paper = getComputedStyle(svg.querySelector("polygon")).fill;
  const result = { paper, width: svg.getBoundingClientRect().width, smallest: Infinity, outside: [], pale: [], faint: [], close: [] };
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
  Object.assign(result, routing(svg, texts), grey(svg));
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
