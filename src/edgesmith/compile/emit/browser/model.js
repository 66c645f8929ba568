// @@name@@: a model compiled to WebAssembly by edgesmith. No dependency; for browsers, Node and Deno.
//
//   import { load } from "./@@name@@.js";
//   const model = await load();                   // fetches @@name@@.wasm beside this file
//   const result = model.run({ @@example@@ });    // real values: name to Float32Array
//   const stored = model.runStored({ @@example@@ }); // the integers themselves
//
// An input is a typed array of the stored type, or real numbers (Float32Array, Float64Array or a plain array), which
// are quantized. Images lie height x width x channels.

export const description = @@description@@;

const ARRAYS = {
  float32: Float32Array, int8: Int8Array, uint8: Uint8Array, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, int64: BigInt64Array, bool: Uint8Array,
};
const RANGES = {
  int8: [-128, 127], uint8: [0, 255], int16: [-32768, 32767], uint16: [0, 65535], int32: [-(2 ** 31), 2 ** 31 - 1],
  uint32: [0, 2 ** 32 - 1], bool: [0, 1],
};

/** The model from the .wasm file beside this one, or from a URL, a Response, or the bytes of the module. */
export async function load(source = description.wasm) {
  const { instance } = await WebAssembly.instantiate(await bytesOf(source));
  return new Model(instance.exports);
}

async function bytesOf(source) {
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return source;
  if (typeof Response !== "undefined" && source instanceof Response) return source.arrayBuffer();
  const url = new URL(source, import.meta.url);
  if (url.protocol === "file:" && typeof window === "undefined") {
    return (await import("node:fs/promises")).readFile(url);
  }
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${description.name}: ${url} answered ${response.status}; need the .wasm file.`);
  return response.arrayBuffer();
}

export class Model {
  #exports;

  constructor(exports) {
    this.#exports = exports;
    this.reset();
  }

  /** Puts the states back to their initial values. */
  reset() {
    this.#exports.reset();
  }

  /** One inference: input name to array, output name to Float32Array of real values. */
  run(inputs) {
    const stored = this.runStored(inputs);
    return Object.fromEntries(description.outputs.map((port) => [port.name, real(port, stored[port.name])]));
  }

  /** One inference: input name to array, output name to a typed array as it is stored. */
  runStored(inputs) {
    const { memory, arena, result, infer } = this.#exports;
    for (const port of description.inputs) {
      const values = stored(port, inputs[port.name]);
      new values.constructor(memory.buffer, (arena?.value ?? 0) + port.offset, values.length).set(values);
    }
    if (infer() !== 0) throw new Error(`${description.name}: the model refused its arguments.`);
    const pointers = new Uint32Array(memory.buffer, result.value, description.outputs.length);
    return Object.fromEntries(
      description.outputs.map((port, i) => [port.name, new ARRAYS[port.dtype](memory.buffer, pointers[i], port.size).slice()]),
    );
  }
}

/** What an input stores: a typed array of its own type as it is, real numbers by its scale and zero point. */
export function stored(port, values) {
  if (values === undefined) throw new Error(`${description.name}: input ${port.name} is missing; need ${port.shape}.`);
  if (values.length !== port.size) {
    throw new Error(`${description.name}: input ${port.name} has ${values.length} values; need ${port.size}, ${port.shape}.`);
  }
  const Stored = ARRAYS[port.dtype];
  if (values instanceof Stored) return values;
  if (!Array.isArray(values) && !(values instanceof Float32Array) && !(values instanceof Float64Array)) {
    throw new Error(`${description.name}: input ${port.name} is a ${values.constructor.name}; need a ${Stored.name}.`);
  }
  if (port.dtype === "int64") return Stored.from(values, (value) => BigInt(Math.round(value)));
  const range = RANGES[port.dtype];
  if (!range) return Stored.from(values);
  const { scale = 1, zero_point = 0 } = port;
  return Stored.from(values, (value) => Math.min(range[1], Math.max(range[0], even(value / scale) + zero_point)));
}

/** What an output means: real = scale * (stored - zero point). */
export function real(port, values) {
  const { scale, zero_point = 0 } = port;
  return Float32Array.from(values, scale === undefined ? Number : (value) => scale * (value - zero_point));
}

/** The nearest whole number, halves to the even one. */
function even(value) {
  const whole = Math.round(value);
  return whole - value === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}
