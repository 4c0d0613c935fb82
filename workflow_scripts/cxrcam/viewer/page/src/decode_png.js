// PNG to grey levels. Browsers cut 16 bits to 8 and may correct colours; an X-ray must come out as
// the workflow reads it. Specification: https://www.w3.org/TR/png-3/

import { Colours } from "./colours.js";
import { luma, overBlack, stretchTo8Bit } from "./grey.js";
import { PREDICT, Refusal } from "./refusal.js";

const GREY = 0;
const COLOUR = 2;
const PALETTE = 3;
const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
// Chunks on which no pixel depends, and words in them by which it may: as in png.py.
const EXTRAS = ["bKGD", "cHRM", "gAMA", "hIST", "iCCP", "iTXt", "pHYs", "sBIT", "sPLT", "sRGB", "tEXt", "tIME", "zTXt"];
const NEEDED = /exif|xmp|app1|actl|trns|plte|idat/i;
// First chunk after the header of a phantom, as images/drawn_mark.py writes it.
const DRAWN = "Software\0CXR-CAM phantom";
// Texts that can say which side is up.
const SAYS_UP = /^(Raw profile type (exif|APP1)\0|XML:com\.adobe\.xmp\0(\x01|.*Orientation))/s;
// As in raster.py: darker 16-bit colour would be left with fewer than 32 grey levels.
const MINIMUM_HIGH_BYTE = 32;
const NO_INTERLACE = [[0, 0, 1, 1]];
// First column and row, then steps, of the seven passes of Adam7.
const ADAM7 = [
  [0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2],
];

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) c = CRC_TABLE[(c ^ bytes[i]) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

const ascii = (bytes) => Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");

/** Chunks of a file by name, with those of pixels in order; checksums of what matters are checked. */
function readChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const chunks = { IDAT: [] };
  let last = "";
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at);
    const end = at + 12 + length;
    if (end > bytes.length) break;
    const name = ascii(bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, end - 4);
    const isSound = crc32(bytes.subarray(at + 4, end - 4)) === view.getUint32(end - 4);
    if (!isSound && (!EXTRAS.includes(name) || NEEDED.test(ascii(content)))) {
      throw new Refusal("The image data are damaged: a checksum does not match.");
    }
    if (name === "IDAT") {
      // The standard wants them one after the other; Pillow stops at the first that is not.
      if (chunks.IDAT.length > 0 && last !== "IDAT") throw new Refusal("The file is cut off: its image data end too early.");
      chunks.IDAT.push(content);
    } else if (isSound) {
      if (last === "IHDR" && name === "tEXt" && ascii(content) === DRAWN) chunks.isDrawn = true;
      if (EXTRAS.includes(name) && SAYS_UP.test(ascii(content))) chunks.eXIf = content;
      chunks[name] ??= content;
    }
    last = name;
    if (name === "IEND") return chunks;
    at = end;
  }
  throw new Refusal("The file is cut off: its image data end too early.");
}

/** Decompress, never to more than `limit` bytes. */
async function inflate(parts, limit) {
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const result = new Uint8Array(limit);
  let filled = 0;
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const wanted = value.subarray(0, limit - filled);
      result.set(wanted, filled);
      filled += wanted.length;
      if (filled === limit) break;
    }
  } catch {
    throw new Refusal("The image data are damaged and cannot be decoded.");
  }
  reader.cancel().catch(() => {});
  if (filled < limit) throw new Refusal("The file is cut off: its image data end too early.");
  return result;
}

/** Undo the filter of one pass, in place; each line begins with the number of its filter. */
function unfilter(data, start, lines, lineBytes, pixelBytes) {
  for (let line = 0; line < lines; line++) {
    const at = start + line * (lineBytes + 1) + 1;
    const kind = data[at - 1];
    const above = line === 0 ? -1 : at - lineBytes - 1;
    for (let x = 0; x < lineBytes; x++) {
      const left = x < pixelBytes ? 0 : data[at + x - pixelBytes];
      const up = above < 0 ? 0 : data[above + x];
      if (kind === 1) data[at + x] += left;
      else if (kind === 2) data[at + x] += up;
      else if (kind === 3) data[at + x] += (left + up) >> 1;
      else if (kind === 4) {
        data[at + x] += paeth(left, up, x < pixelBytes || above < 0 ? 0 : data[above + x - pixelBytes]);
      } else if (kind > 4) throw new Refusal("The image data are damaged and cannot be decoded.");
    }
  }
}

function paeth(left, up, corner) {
  const a = Math.abs(up - corner);
  const b = Math.abs(left - corner);
  const c = Math.abs(left + up - 2 * corner);
  if (a <= b && a <= c) return left;
  return b <= c ? up : corner;
}

/** Samples of all pixels, channel after channel within a pixel. */
function unpack(data, header, passes) {
  const { width, height, depth, channels } = header;
  const samples = new (depth === 16 ? Uint16Array : Uint8Array)(width * height * channels);
  const mask = 2 ** depth - 1;
  let start = 0;
  for (const { columns, lines, lineBytes, x0, y0, dx, dy } of passes) {
    unfilter(data, start, lines, lineBytes, Math.max(1, (depth * channels) >> 3));
    for (let line = 0; line < lines; line++) {
      const from = start + line * (lineBytes + 1) + 1;
      for (let column = 0; column < columns; column++) {
        const to = ((y0 + line * dy) * width + x0 + column * dx) * channels;
        for (let k = 0; k < channels; k++) {
          const number = column * channels + k;
          if (depth === 16) samples[to + k] = (data[from + 2 * number] << 8) | data[from + 2 * number + 1];
          else if (depth === 8) samples[to + k] = data[from + number];
          else {
            const bit = number * depth;
            samples[to + k] = (data[from + (bit >> 3)] >> (8 - depth - (bit & 7))) & mask;
          }
        }
      }
    }
    start += lines * (lineBytes + 1);
  }
  return samples;
}

/** The size of each pass, and where its pixels go. */
function layOut({ width, height, depth, channels, interlaced }) {
  return (interlaced ? ADAM7 : NO_INTERLACE)
    .map(([x0, y0, dx, dy]) => {
      const columns = Math.ceil((width - x0) / dx);
      const lines = Math.ceil((height - y0) / dy);
      return { x0, y0, dx, dy, columns, lines, lineBytes: Math.ceil((columns * depth * channels) / 8) };
    })
    .filter(({ columns, lines }) => columns > 0 && lines > 0);
}

/** Grey levels and opacity of samples. */
function toGrey(samples, header, chunks) {
  const { width, height, depth, kind, channels } = header;
  const { PLTE, tRNS } = chunks;
  // Greys of 16 bits keep them; of colours and of greys with opacity the high byte is used.
  if (kind === GREY && depth === 16) {
    return { grey: stretchTo8Bit(samples, tRNS ? (tRNS[0] << 8) | tRNS[1] : null), alpha: null, colourfulness: 0 };
  }
  const values = depth === 16 ? Uint8Array.from(samples, (value) => value >> 8) : samples;
  const n = width * height;
  const grey = new Uint8Array(n);
  const alpha = tRNS || kind >= 4 ? new Uint8Array(n).fill(255) : null;
  const factor = depth < 8 ? 255 / (2 ** depth - 1) : 1;
  // Two bytes a channel, of which as many bits count as a sample has.
  const clear = tRNS && kind !== PALETTE ? tRNS.filter((_, i) => i % 2 === 1).map((byte) => byte & (2 ** depth - 1)) : null;
  const colours = new Colours(width, height);
  for (let i = 0; i < n; i++) {
    const at = i * channels;
    if (kind === COLOUR || kind === 6 || kind === PALETTE) {
      const entry = kind === PALETTE ? 3 * values[i] : at;
      const source = kind === PALETTE ? PLTE : values;
      if (entry + 2 >= source.length) throw new Refusal("The image data are damaged and cannot be decoded.");
      const [red, green, blue] = [source[entry], source[entry + 1], source[entry + 2]];
      grey[i] = luma(red, green, blue);
      colours.add(i, red, green, blue);
    } else grey[i] = values[at] * factor;
    if (kind >= 4) alpha[i] = values[at + channels - 1];
    else if (kind === PALETTE && tRNS) alpha[i] = tRNS[values[i]] ?? 255;
    else if (clear && clear.every((value, k) => values[at + k] === value)) alpha[i] = 0;
  }
  return { grey, alpha, colourfulness: colours.colourfulness() };
}

/** Width, height and kind of a PNG, from its first bytes. */
export function pngHeader(bytes) {
  if (bytes.length < 29 || ascii(bytes.subarray(12, 16)) !== "IHDR") {
    throw new Refusal("The file starts as a PNG image, but its header is damaged or cut off.");
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [depth, kind, , filter, interlaced] = bytes.subarray(24, 29);
  const channels = DEPTHS[kind]?.includes(depth) && !filter ? CHANNELS[kind] : 0;
  return { width: view.getUint32(16), height: view.getUint32(20), depth, kind, interlaced, channels };
}

/**
 * Decode a PNG whose size was found to be within the limits.
 * @param {Uint8Array} bytes
 * @returns {Promise<{pixels: Uint8Array, width: number, height: number, colourfulness: number, isDrawn: boolean}>}
 *   grey levels; how colourful the picture is, from 0 to 1; whether it is a phantom
 */
export async function decodePng(bytes) {
  const header = pngHeader(bytes);
  const { width, height, depth, kind, channels } = header;
  if (!channels) {
    throw new Refusal("The file starts as a PNG image, but its header is damaged or cut off.");
  }
  const chunks = readChunks(bytes);
  if (chunks.acTL) throw new Refusal("The file holds several frames or pages; one image is expected.");
  if (chunks.eXIf) throw new Refusal(`The PNG may say in an EXIF block which side is up, which this page does not read: ${PREDICT}.`);
  if (kind === PALETTE && !chunks.PLTE) throw new Refusal("The image data are damaged and cannot be decoded.");
  if (depth === 16 && kind === COLOUR && chunks.tRNS) {
    throw new Refusal(
      "The PNG holds 16-bit colour with a transparent one, which is not read; store it as 16-bit grey.");
  }
  const passes = layOut(header);
  const length = passes.reduce((sum, { lines, lineBytes }) => sum + lines * (lineBytes + 1), 0);
  const samples = unpack(await inflate(chunks.IDAT, length), header, passes);
  const { grey, alpha, colourfulness } = toGrey(samples, header, chunks);
  if (alpha?.some((value) => value < 255)) {
    for (let i = 0; i < grey.length; i++) grey[i] = overBlack(grey[i], alpha[i]);
  }
  if (depth === 16 && kind !== GREY && !grey.some((value) => value >= MINIMUM_HIGH_BYTE)) {
    throw new Refusal(
      "The image is 16-bit colour that uses only its darkest values; store it as 16-bit grey to keep its grey levels.");
  }
  return { pixels: grey, width, height, colourfulness, isDrawn: chunks.isDrawn === true };
}
