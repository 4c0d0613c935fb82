// Stored values of a DICOM image as 8-bit grey, in which bone is bright; as cxrcam/images/dicom_grey.py.

import { roundHalfToEven } from "./grey.js";
import { PREDICT, Refusal } from "./refusal.js";

const FEWEST_GREYS = 32;
const CENTRAL = [0.005, 0.995];
const OUTLIERS_WIDEN = 3;
const ENOUGH_PIXELS = 500_000;

/**
 * Render a monochrome image.
 * @param {Elements} elements of the file, see decode_dicom.js
 * @param {TypedArray} stored
 * @param {{signed: boolean, allocated: number, inverted: boolean}} layout
 * @returns {Uint8Array}
 */
export function render(elements, stored, layout) {
  const values = modality(elements, stored);
  const isPadding = padding(elements, stored, layout);
  const measured = isPadding ? values.filter((_, i) => !isPadding[i]) : values;
  const pixels = byVoi(elements, values, isPadding, layout) ?? scaleTo8Bit(values, ...ownRange(measured));
  return pixels.map((value, i) => (isPadding?.[i] ? 0 : layout.inverted ? 255 - value : value));
}

function modality(elements, stored) {
  if (elements.has("x00283000")) throw new Refusal(`The DICOM file has a modality table, which this page does not read: ${PREDICT}.`);
  const slope = elements.decimal("x00281053") || 1;
  const intercept = elements.decimal("x00281052") || 0;
  return slope === 1 && intercept === 0 ? stored : Float64Array.from(stored, (value) => value * slope + intercept);
}

/** Which pixels lie outside the detector, or null. */
function padding(elements, stored, { signed, allocated }) {
  const ends = ["x00280120", "x00280121"].map((tag) => elements.word(tag));
  if (ends[0] === null) return null;
  if (allocated === 8 && ends.some((end) => end > 255)) {
    throw new Refusal(`The DICOM file pads with a value that no pixel can have: ${PREDICT}.`);
  }
  const span = 2 ** allocated;
  const [first, last] = [ends[0], ends[1] ?? ends[0]].map((end) => (signed && end >= span / 2 ? end - span : end));
  const found = Uint8Array.from(stored, (value) => value >= Math.min(first, last) && value <= Math.max(first, last));
  const n = found.reduce((sum, one) => sum + one, 0);
  return n && n < found.length ? found : null;
}

/** By the first VOI table or window; null where there is none that shows the image. */
function byVoi(elements, values, isPadding, layout) {
  const table = elements.items("x00283010")[0];
  let pixels;
  if (table?.find("x00283006")) {
    const { entries, first, bits } = readTable(table, layout, values.some((value) => value < 0));
    const largest = entries.reduce((a, b) => Math.max(a, b));
    const stated = 2 ** bits - 1;
    const highest = largest <= Math.floor(stated / 2) || largest > stated ? largest : stated;
    const at = (value) => Math.min(Math.max(roundHalfToEven(value) - first, 0), entries.length - 1);
    pixels = scaleTo8Bit(Float64Array.from(values, (value) => entries[at(value)]), 0, highest);
  } else {
    const [center, width] = [elements.decimal("x00281050"), elements.decimal("x00281051")];
    if (center === null || width === null) return null;
    pixels = windowed(values, center, width, elements.text("x00281056").toUpperCase() || "LINEAR");
  }
  return shows(pixels, isPadding) ? pixels : null;
}

/** Entries of a look-up table, the first value that it maps, and the bits of an entry. */
function readTable(table, { signed }, hasNegative) {
  const [number, start, bits] = [0, 1, 2].map((k) => table.word("x00283002", k));
  const { vr, dataOffset, length } = table.find("x00283006");
  const isSigned = (table.find("x00283002")?.vr ?? (signed ? "SS" : "US")) === "SS";
  if (start === null || (vr && !["US", "SS", "OW"].includes(vr)) || (isSigned && number >= 2 ** 15)) {
    throw new Refusal(`The DICOM file has a VOI table of a kind that this page does not read: ${PREDICT}.`);
  }
  const n = number || 65536;
  const data = table.bytes.slice(dataOffset, dataOffset + length);
  if (!(bits >= 1 && bits <= 16)) throw new Refusal(`A look-up table of the DICOM file has entries of ${bits} bits.`);
  const first = (isSigned || hasNegative) && start >= 2 ** 15 ? start - 65536 : start;
  if (data.length >= 2 * n) return { entries: new Uint16Array(data.buffer, 0, n), first, bits };
  if (data.length >= n && data.length <= n + 1 && bits <= 8) return { entries: data.subarray(0, n), first, bits };
  throw new Refusal(`A look-up table of the DICOM file has ${data.length} bytes for ${n} entries.`);
}

/** DICOM PS3.3, C.11.2.1.2 and C.11.2.1.3. */
function windowed(values, center, width, kind) {
  if (width < (kind === "LINEAR" ? 1 : 0) || (kind !== "LINEAR" && width === 0)) {
    throw new Refusal(`The DICOM window width ${width} is not valid.`);
  }
  if (kind === "SIGMOID") {
    const power = (value) => Math.exp(Math.min(Math.max((-4 * (value - center)) / width, -700), 700));
    return scaleTo8Bit(Float64Array.from(values, (value) => 1 / (1 + power(value))), 0, 1);
  }
  if (kind === "LINEAR_EXACT") return scaleTo8Bit(values, center - width / 2, center + width / 2);
  if (kind !== "LINEAR") throw new Refusal(`The DICOM window function ${kind} is not supported.`);
  const [lowest, highest] = [center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2];
  // The standard's limit case is a threshold.
  return width === 1 ? Uint8Array.from(values, (value) => (value > lowest ? 255 : 0)) : scaleTo8Bit(values, lowest, highest);
}

/** Whether rendered pixels spread over more than a few grey levels. */
function shows(pixels, isPadding) {
  const counts = new Float64Array(256);
  pixels.forEach((value, i) => { if (!isPadding?.[i]) counts[value] += 1; });
  const n = counts.reduce((a, b) => a + b);
  let sum = 0;
  const shares = Array.from(counts, (count) => (sum += count) / n);
  const [darkest, brightest] = CENTRAL.map((share) => shares.findIndex((reached) => reached >= share));
  return brightest - darkest >= FEWEST_GREYS;
}

/** The image's minimum and maximum, or what bounds its central 99 % where a few pixels lie far outside. */
function ownRange(measured) {
  const lowest = measured.reduce((a, b) => Math.min(a, b));
  const highest = measured.reduce((a, b) => Math.max(a, b));
  const step = Math.max(1, Math.floor(measured.length / ENOUGH_PIXELS));
  const some = measured.filter((_, i) => i % step === 0).sort();
  const [low, high] = CENTRAL.map((share) => quantile(some, share));
  return low < high && highest - lowest > OUTLIERS_WIDEN * (high - low) ? [low, high] : [lowest, highest];
}

/** As NumPy's, of sorted numbers. */
function quantile(sorted, share) {
  const place = share * (sorted.length - 1);
  const below = Math.floor(place);
  const part = place - below;
  const [a, b] = [sorted[below], sorted[Math.min(below + 1, sorted.length - 1)]];
  return part >= 0.5 ? b - (b - a) * (1 - part) : a + (b - a) * part;
}

function scaleTo8Bit(values, lowest, highest) {
  const span = highest - lowest;
  if (!(span > 0)) return new Uint8Array(values.length);
  return Uint8Array.from(values, (value) => roundHalfToEven(Math.min(Math.max((value - lowest) / span, 0), 1) * 255));
}
