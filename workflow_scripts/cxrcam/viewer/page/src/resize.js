// Pillow's resizing of 8-bit grey images, with its rounding: the network was trained on such pixels.
// Source: Pillow, src/libImaging/Resample.c (two passes, coefficients of 22 bits).

const PRECISION_BITS = 22;

/** Filter functions and how far they reach, in pixels of the larger scale. */
const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: bicubic },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};

function bicubic(x) {
  const a = -0.5;
  const d = Math.abs(x);
  if (d < 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? (((d - 5) * d + 8) * d - 4) * a : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x);
}

/**
 * For each target pixel: its first source pixel and the whole-number weights of those it is made of.
 * When shrinking, the filter grows with the factor (antialiasing).
 */
function weightsOf(source, target, filter) {
  const scale = source / target;
  const growth = Math.max(scale, 1);
  const support = filter.support * growth;
  return Array.from({ length: target }, (_, position) => {
    const centre = (position + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(source, Math.trunc(centre + support + 0.5));
    const weights = Array.from({ length: last - first }, (_, x) =>
      filter.weight((x + first - centre + 0.5) / growth));
    const sum = weights.reduce((a, b) => a + b, 0) || 1;
    const whole = weights.map((w) => {
      const scaled = (w / sum) * 2 ** PRECISION_BITS;
      return Math.trunc(scaled + (scaled < 0 ? -0.5 : 0.5));
    });
    return { first, whole: Int32Array.from(whole) };
  });
}

/** One pass: each line of `pixels` becomes `target` long; `step` and `line` are strides. */
function pass(pixels, source, target, lines, step, line, filter) {
  const result = new Uint8ClampedArray(target * lines);
  const targetStep = step === 1 ? 1 : step;
  const targetLine = step === 1 ? target : line;
  weightsOf(source, target, filter).forEach(({ first, whole }, position) => {
    for (let row = 0; row < lines; row++) {
      let sum = 2 ** (PRECISION_BITS - 1);
      let at = row * line + first * step;
      for (let k = 0; k < whole.length; k++, at += step) sum += pixels[at] * whole[k];
      result[row * targetLine + position * targetStep] = sum >> PRECISION_BITS;
    }
  });
  return result;
}

/**
 * Stretch a grey image to a square of `size` pixels a side.
 * @param {{pixels: Uint8Array, width: number, height: number}} image
 * @param {number} size
 * @param {"bilinear" | "lanczos" | "bicubic" | "box"} resampling
 * @returns {Uint8ClampedArray} size · size grey levels
 */
export function resizeGrey({ pixels, width, height }, size, resampling) {
  const filter = FILTERS[resampling];
  if (!filter) throw new RangeError(`unknown resampling ${resampling}`);
  let result = Uint8ClampedArray.from(pixels);
  if (width !== size) result = pass(result, width, size, height, 1, width, filter);
  if (height !== size) result = pass(result, height, size, size, size, 1, filter);
  return result;
}
