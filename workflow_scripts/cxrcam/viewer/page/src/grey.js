// Grey levels from colour and from more than 8 bits, as cxrcam/images does it with Pillow.

/** ITU-R BT.601 luma in Pillow's fixed point; a grey stored as colour keeps exactly its grey. */
export function luma(red, green, blue) {
  return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
}

/** A grey under some opacity over black, rounded as Pillow's composite. */
export function overBlack(grey, alpha) {
  const product = grey * alpha + 128;
  return (product + (product >> 8)) >> 8;
}

/**
 * The image's own minimum to maximum, of 16 bits at most, becomes 0 to 255.
 * Pixels of the value `clear`, if there is one, do not count and become 0.
 */
export function stretchTo8Bit(values, clear = null) {
  let lowest = Infinity;
  let highest = -Infinity;
  for (const value of values) {
    if (value === clear) continue;
    if (value < lowest) lowest = value;
    if (value > highest) highest = value;
  }
  const span = highest - lowest;
  const table = Uint8Array.from({ length: 65536 }, (_, value) =>
    span > 0 && value !== clear && value >= lowest && value <= highest ? roundHalfToEven(((value - lowest) / span) * 255) : 0);
  return Uint8Array.from(values, (value) => table[value]);
}

/** As NumPy's rint. */
export function roundHalfToEven(number) {
  const floor = Math.floor(number);
  if (number - floor !== 0.5) return Math.round(number);
  return floor % 2 === 0 ? floor : floor + 1;
}
