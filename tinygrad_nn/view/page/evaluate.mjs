// Carries out operations by name, and lists of them: rules that came from the tables as data.

import { NdArray, arrayFrom, asArray, cast, mapped, numberFrom } from "./arrays.mjs";
import { elementwise } from "./elementwise.mjs";
import { products } from "./products.mjs";
import { reductions } from "./reductions.mjs";
import { shaping } from "./shaping.mjs";

const ofArrays = { ...reductions, ...shaping, ...products };

/** Whether the page has this operation. */
export function isKnown(name) {
  return Object.hasOwn(elementwise, name) || Object.hasOwn(ofArrays, name);
}

/** The value of one operation; an argument that is left out is null. */
export function carryOut(name, args, params, dtype) {
  if (Object.hasOwn(elementwise, name)) {
    const of = args.find((a) => a !== null).dtype;
    return holding(mapped(elementwise[name], args, params, of), dtype);
  }
  return holding(ofArrays[name](args, params), dtype);
}

/** A new result in its dtype. */
function holding(x, dtype) {
  return cast(new NdArray(x.shape, x.data, "float64"), dtype);
}

/** A parameter from JSON: arrays, and numbers that JSON does not know. */
export function parameterFrom(plain) {
  if (Array.isArray(plain)) return plain.map(parameterFrom);
  if (plain === null || typeof plain !== "object") return plain;
  if ("number" in plain) return numberFrom(plain.number);
  return "array" in plain ? arrayFrom(plain.array) : plain;
}

export function parametersFrom(plain = {}) {
  return Object.fromEntries(Object.entries(plain).map(([name, value]) => [name, parameterFrom(value)]));
}

/** A rule from JSON, ready to be carried out often. */
export function ruleFrom({ result, code = [], arrays = [] }) {
  const steps = code.map(({ op, args, params, dtype = "float64" }) => ({ op, args, params: parametersFrom(params), dtype }));
  return { result, code: steps, arrays: arrays.map(arrayFrom) };
}

/** What a rule makes of the upstream gradient g, the output y and the inputs. */
export function carryOutRule(rule, g, y, inputs) {
  const results = [];
  const operand = (text) => {
    if (text === "g") return g;
    if (text === "y") return y;
    if (text === "") return null;
    const kind = text[0];
    if (kind === "#") return results[Number(text.slice(1))];
    if (kind === "x") return inputs[Number(text.slice(1))];
    return kind === "@" ? rule.arrays[Number(text.slice(1))] : asArray(numberFrom(text));
  };
  for (const { op, args, params, dtype } of rule.code) results.push(carryOut(op, args.map(operand), params, dtype));
  return operand(rule.result);
}
