// One X-ray file as grey levels, or a sentence that says why not. Files are told by their content.

import { Colours } from "./colours.js";
import { decodeDicom } from "./decode_dicom.js";
import { decodePng, pngHeader } from "./decode_png.js";
import { luma, roundHalfToEven } from "./grey.js";
import { PREDICT, Refusal } from "./refusal.js";

const MINIMUM_SIDE = 16;
// The largest detectors give about 20 million; a tab that is asked for more may be killed.
const MOST_PIXELS = 50_000_000;
const MOST_BYTES = 8 * MOST_PIXELS;

const START_OF_SCAN = 0xda;

const OTHER_FORMATS = [
  [[0x49, 0x49, 0x2a, 0], "a TIFF image"],
  [[0x4d, 0x4d, 0, 0x2a], "a TIFF image"],
  [[0x49, 0x49, 0x2b, 0], "a TIFF image"], // BigTIFF
  [[0x4d, 0x4d, 0, 0x2b], "a TIFF image"],
  [[0x42, 0x4d], "a BMP image"],
  [[0x47, 0x49, 0x46, 0x38], "a GIF image"],
  [[0x52, 0x49, 0x46, 0x46], "a WebP image"],
  [[0, 0, 0, 0x0c, 0x6a, 0x50], "a JPEG 2000 image"],
  [[0xff, 0x4f, 0xff, 0x51], "a JPEG 2000 image"],
  ...[1, 2, 3, 4, 5, 6].map((number) => [[0x50, 0x30 + number], "a PNM image"]),
];

const startsWith = (bytes, signature, at = 0) => signature.every((value, i) => bytes[at + i] === value);
const isPng = (bytes) => startsWith(bytes, [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const isJpeg = (bytes) => startsWith(bytes, [0xff, 0xd8, 0xff]);

function isDicom(bytes, name) {
  return startsWith(bytes, [0x44, 0x49, 0x43, 0x4d], 128) || /\.(dcm|dicom)$/i.test(name);
}

/** Kind (the marker), bits, width, height and number of channels of a JPEG, from its frame header. */
function jpegHeader(bytes) {
  for (let at = 2; at + 9 < bytes.length; ) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff || marker === 0xff) {
      at += 1;
      continue;
    }
    if (marker === 0 || marker === START_OF_SCAN) break;
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (isFrame) {
      const two = (i) => (bytes[at + i] << 8) | bytes[at + i + 1];
      return { marker, bits: bytes[at + 4], width: two(7), height: two(5), channels: bytes[at + 9] };
    }
    at += 2 + ((bytes[at + 2] << 8) | bytes[at + 3]);
  }
  throw new Refusal("The file starts as a JPEG image, but its header is damaged or cut off.");
}

function checkSize({ width, height }) {
  if (width * height > MOST_PIXELS) {
    throw new Refusal(`The image declares ${width} x ${height} pixels, more than the ${MOST_PIXELS / 1e6} million ` +
      `that a page can take: ${PREDICT}.`);
  }
  if (Math.min(width, height) < MINIMUM_SIDE) {
    throw new Refusal(`The image is ${width} x ${height} pixels: a side is smaller than ${MINIMUM_SIDE} pixels.`);
  }
}

/**
 * Means of blocks of 2, 4 or 8 pixels a side, as long as both sides keep `leastSide`.
 * The workflow decodes large JPEG files at that fraction, which libjpeg does by the same means
 * (jidctred.c); Pillow chooses the fraction so (JpegImageFile.draft).
 */
export function reduce({ pixels, width, height, ...others }, leastSide) {
  const most = Math.min(Math.floor(width / leastSide), Math.floor(height / leastSide));
  const side = [8, 4, 2].find((wanted) => most >= wanted);
  if (!side) return { pixels, width, height, ...others };
  const columns = Math.ceil(width / side);
  const rows = Math.ceil(height / side);
  const means = new Uint8Array(columns * rows);
  // libjpeg rounds the mean of unrounded values. We have rounded ones: their mean often ends in a half,
  // which is as often too high as too low. The mean of a whole block is stored, and rounded upwards.
  const round = side === 8 ? Math.round : roundHalfToEven;
  for (let row = 0; row < rows; row++) {
    const lines = Math.min(side, height - row * side);
    for (let column = 0; column < columns; column++) {
      const across = Math.min(side, width - column * side);
      let sum = 0;
      for (let y = 0; y < lines; y++) {
        const from = (row * side + y) * width + column * side;
        for (let x = 0; x < across; x++) sum += pixels[from + x];
      }
      means[row * columns + column] = round(sum / (lines * across));
    }
  }
  return { pixels: means, width: columns, height: rows, ...others };
}

/** Decoded by the browser: without colour correction, turned upright by EXIF. */
async function decodeJpeg(bytes, leastSide) {
  const { marker, bits, channels } = jpegHeader(bytes);
  if (bits !== 8 || marker > 0xc2) {
    throw new Refusal("The image is a JPEG of a rare kind, which is not read: export it as PNG.");
  }
  if (channels === 4) {
    throw new Refusal("The JPEG holds four ink colours (CMYK), as no X-ray does: this page does not read it.");
  }
  if (!(bytes.at(-1) === 0xd9 || bytes.subarray(-4096).some((value, i, tail) => value === 0xff && tail[i + 1] === 0xd9))) {
    throw new Refusal("The file is cut off: its image data end too early.");
  }
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }),
      { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new Refusal("The image data are damaged and cannot be decoded.");
  }
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const pixels = new Uint8Array(width * height);
  const colours = new Colours(width, height);
  for (let i = 0; i < pixels.length; i++) {
    const [red, green, blue] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    pixels[i] = luma(red, green, blue);
    colours.add(i, red, green, blue);
  }
  return reduce({ pixels, width, height, colourfulness: colours.colourfulness() }, leastSide);
}

/** Decode bytes by what they are. */
async function decode(bytes, name, leastSide, refused) {
  if (isPng(bytes)) {
    checkSize(pngHeader(bytes));
    return decodePng(bytes);
  }
  if (isJpeg(bytes)) {
    checkSize(jpegHeader(bytes));
    return decodeJpeg(bytes, leastSide);
  }
  if (isDicom(bytes, name)) return decodeDicom(bytes, checkSize, refused);
  const other = OTHER_FORMATS.find(([signature]) => startsWith(bytes, signature));
  if (other) throw new Refusal(`This is ${other[1]}; the page reads PNG, JPEG and DICOM: ${PREDICT}.`);
  throw new Refusal("The file is not an image: the page reads X-rays as PNG, JPEG or DICOM.");
}

/**
 * Read an image file.
 * @param {File} file
 * @param {number} leastSide pixels a side that a JPEG is not reduced below
 * @param {?Object<string, string[]>} refused kinds of DICOM images that are set apart, see decode_dicom.js
 * @returns {Promise<{pixels: Uint8Array, width: number, height: number, colourfulness: number}>}
 * @throws {Refusal}
 */
export async function readImage(file, leastSide, refused = null) {
  if (file.size === 0) throw new Refusal("The file is empty (0 bytes).");
  if (file.size > MOST_BYTES) throw new Refusal("The file is larger than any X-ray that a page can take.");
  const image = await decode(new Uint8Array(await file.arrayBuffer()), file.name, leastSide, refused);
  if (image.pixels.every((value) => value === image.pixels[0])) {
    throw new Refusal("The image has one grey level throughout: there is nothing to see on it.");
  }
  return image;
}
