// Whether a change of several numbers is a step of gradient descent; pages of a single one do without.

import { formatNumber } from "./notation.mjs";

/** `−lr ‖∇J‖²` where several numbers went against their gradients at the same rate: one alone has no other way down. */
export function asAStep(J, steps, total) {
  const known = steps.filter(([, , gradient]) => gradient);
  const squares = known.reduce((sum, [, , { data }]) => sum + data.reduce((all, x) => all + x * x, 0), 0);
  const rate = -total / squares;
  const along = ([, delta, gradient]) => {
    const size = Math.max(...gradient.data.map(Math.abs)) * rate;
    return delta.data.every((x, i) => Math.abs(x + rate * gradient.data[i]) <= 1e-6 * size);
  };
  const moved = known.reduce((n, [, { data }]) => n + data.filter((x) => x !== 0).length, 0);
  if (moved < 2 || !(rate > 0) || !Number.isFinite(squares) || !known.every(along)) return [];
  const lr = formatNumber(Number(rate.toPrecision(6)));
  return [`= −lr ‖∇${J}‖² = −${lr} × ${formatNumber(squares)}: a step of gradient descent`];
}
