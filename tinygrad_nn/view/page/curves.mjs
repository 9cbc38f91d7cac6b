// Arrows as curves: lanes beside each other, a head each, and thick flows.

export const APART = 6; // pixels between lanes

/** Points along an arrow: its start, then three numbers pairs for each Bézier curve, then the tip. */
export function pointsOf(numbers, steps = 12) {
  const at = (i) => [numbers[2 * i], numbers[2 * i + 1]];
  const curves = Math.floor((numbers.length / 2 - 2) / 3);
  const points = [at(0)];
  for (let c = 0; c < curves; c++) {
    const four = [0, 1, 2, 3].map((i) => at(3 * c + i));
    for (let s = 1; s <= steps; s++) points.push(bezier(four, s / steps));
  }
  points.push(at(numbers.length / 2 - 1));
  return points;
}

function bezier([a, b, c, d], t) {
  const u = 1 - t;
  const weights = [u * u * u, 3 * u * u * t, 3 * u * t * t, t * t * t];
  return [0, 1].map((k) => weights[0] * a[k] + weights[1] * b[k] + weights[2] * c[k] + weights[3] * d[k]);
}

/** The same points, moved to one side. */
export function beside(points, by) {
  if (!by) return points;
  return points.map(([x, y], i) => {
    const [ax, ay] = points[Math.max(0, i - 1)];
    const [bx, byY] = points[Math.min(points.length - 1, i + 1)];
    const length = Math.hypot(bx - ax, byY - ay) || 1;
    return [x - (by * (byY - ay)) / length, y + (by * (bx - ax)) / length];
  });
}

/** A line that ends where its head begins, and the head: both as the `d` of a path. */
export function arrow(points, width = 1.4) {
  const tip = points.at(-1);
  const long = 6 + 1.1 * width;
  const before = points.findLast((p) => Math.hypot(p[0] - tip[0], p[1] - tip[1]) >= long) ?? points[0];
  const length = Math.hypot(tip[0] - before[0], tip[1] - before[1]) || 1;
  const [dx, dy] = [(tip[0] - before[0]) / length, (tip[1] - before[1]) / length];
  const base = [tip[0] - dx * long, tip[1] - dy * long];
  const half = 2.4 + 0.8 * width;
  const line = [...points.slice(0, points.indexOf(before) + 1), base];
  const head = [tip, [base[0] - dy * half, base[1] + dx * half], [base[0] + dy * half, base[1] - dx * half]];
  return { line: path(line), head: `${path(head)}Z` };
}

const path = (points) => `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}`;
