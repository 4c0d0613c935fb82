// A DICOM file to grey levels, in the order of cxrcam/images/dicom_grey.py. Parsed by dicom-parser.
// Whatever this page would read otherwise than the workflow is refused.

import { readPart10Header, parseDicom } from "dicom-parser";
import { PREDICT, Refusal } from "./refusal.js";
import { render } from "./render_dicom.js";

const UNCOMPRESSED = { "1.2.840.10008.1.2": "Implicit VR Little Endian", "1.2.840.10008.1.2.1": "Explicit VR Little Endian" };
const OTHER_SYNTAXES = {
  "1.2.840.10008.1.2.1.99": "Deflated Explicit VR Little Endian",
  "1.2.840.10008.1.2.2": "Explicit VR Big Endian",
  "1.2.840.10008.1.2.5": "RLE Lossless",
  "1.2.840.10008.1.2.4.50": "JPEG Baseline",
  "1.2.840.10008.1.2.4.51": "JPEG Extended",
  "1.2.840.10008.1.2.4.57": "JPEG Lossless",
  "1.2.840.10008.1.2.4.70": "JPEG Lossless, First-Order Prediction",
  "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
  "1.2.840.10008.1.2.4.81": "JPEG-LS Near-Lossless",
  "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
  "1.2.840.10008.1.2.4.91": "JPEG 2000",
};
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;
const CODE = /^[A-Z0-9_ ]{1,16}$/;
const SQUARE_ENOUGH = 1.01;
const MOST_UNEQUAL = 4;

function notRead(what) {
  return new Refusal(`The DICOM file ${what}, which this page does not read: ${PREDICT}.`);
}

/** The elements of a file that decide on its grey levels. */
class Elements {
  #parsed;

  constructor(parsed) {
    this.#parsed = parsed;
  }

  get bytes() {
    return this.#parsed.byteArray;
  }

  find(tag) {
    return this.#parsed.elements[tag];
  }

  has(tag) {
    return Boolean(this.find(tag)?.length);
  }

  text(tag, k = 0) {
    return this.has(tag) ? ((this.#parsed.string(tag) ?? "").split("\\")[k] ?? "").trim() : "";
  }

  /** A code string as dicom_tags.py takes it; empty where it is none. */
  code(tag) {
    const text = this.text(tag).split(/\s+/).join(" ").toUpperCase();
    return CODE.test(text) ? text : "";
  }

  /** Value number `k` of a number written as text, or null. */
  decimal(tag, k = 0) {
    const text = this.text(tag, k);
    if (!text) return null;
    if (!NUMBER.test(text)) throw new Refusal("The image data are damaged: the DICOM file has a text where a number belongs.");
    return Number(text);
  }

  /** Value number `k` of 16-bit numbers, without sign, or null. */
  word(tag, k = 0) {
    const element = this.find(tag);
    if (!element || element.length < 2 * (k + 1)) return null;
    if (element.vr && !["US", "SS"].includes(element.vr)) throw notRead(`writes a number as ${element.vr}`);
    return this.#parsed.uint16(tag, k);
  }

  items(tag) {
    return (this.find(tag)?.items ?? []).map(({ dataSet }) => new Elements(dataSet));
  }
}

function parsed(bytes) {
  if (String.fromCharCode(...bytes.subarray(128, 132)) !== "DICM") throw notRead("has no preamble");
  let syntax = "";
  try {
    syntax = readPart10Header(bytes).string("x00020010") ?? "";
    if (syntax in UNCOMPRESSED) return new Elements(parseDicom(bytes));
  } catch {
    throw new Refusal("The DICOM file is damaged or cut off.");
  }
  const name = OTHER_SYNTAXES[syntax] ? `${OTHER_SYNTAXES[syntax]} (${syntax})` : syntax || "in no stated way";
  throw notRead(`stores its pixels as ${name}`);
}

/** Refuse what the workflow would set apart, where `image.accept` is frontal_chest. */
function checkKind(elements, refused) {
  if (!refused) return;
  const meaning = elements.items("x00540220")[0]?.text("x00080104").toLowerCase().replaceAll(" ", "-") ?? "";
  const views = { "antero-posterior": "AP", "postero-anterior": "PA", oblique: "OBL", lateral: "LAT" };
  const coded = Object.entries(views).find(([words]) => meaning.includes(words))?.[1] ?? "";
  const directions = orientation(elements);
  const found = {
    modality: elements.code("x00080060"),
    view: elements.code("x00185101") || coded,
    "body part": elements.code("x00180015"),
    "patient orientation": /^[APHF]*[AP][APHF]*$/.test(directions) ? directions : "",
  };
  for (const [name, value] of Object.entries(found)) {
    if (value && (name === "patient orientation" || refused[name].includes(value))) {
      throw new Refusal(`The file says that it is no frontal chest radiograph (${name} ${value}). Set image.accept to any, ` +
        "and make the page again, if it is wanted.");
    }
  }
}

/** First letters of where rows and columns run to; empty if it is not stated. */
function orientation(elements) {
  const letters = [0, 1].map((k) => elements.text("x00200020", k).toUpperCase()[0] ?? "").join("");
  const three = elements.text("x00200020", 2);
  return /^[LRHFAP]{2}$/.test(letters) && !three ? letters : "";
}

/** Size and layout of the pixels, or a refusal. */
function layOut(elements) {
  if (elements.has("x52009229") || elements.has("x52009230")) throw notRead("is an enhanced object");
  if (!elements.find("x7fe00010")) throw new Refusal("The DICOM file holds no pixel data (of whole numbers).");
  const frames = elements.decimal("x00280008") || 1;
  if (frames > 1) throw new Refusal(`The DICOM file holds ${frames} frames; one image is expected.`);
  const photometric = elements.text("x00280004");
  if (!["MONOCHROME1", "MONOCHROME2"].includes(photometric) || elements.word("x00280002") !== 1) {
    throw notRead(`has the photometric interpretation ${photometric || "of none"}`);
  }
  const [height, width, allocated, used] = ["x00280010", "x00280011", "x00280100", "x00280101"].map((tag) => elements.word(tag));
  const signed = elements.word("x00280103");
  const highBit = elements.word("x00280102") || used - 1;
  if (!height || !width) throw new Refusal("The DICOM file does not state its number of rows and columns.");
  if (![8, 16].includes(allocated) || !(used >= 1 && used <= allocated) || ![0, 1].includes(signed) || highBit !== used - 1) {
    throw notRead(`stores ${used ?? "an unknown number of"} bits of ${allocated ?? "an unknown number"} up to bit ${highBit}`);
  }
  return { height, width, allocated, used, signed: signed === 1, inverted: photometric === "MONOCHROME1" };
}

/** Stored values of the pixels, which must fit into the bits that the file states. */
function storedValues(elements, { height, width, allocated, used, signed }) {
  const { dataOffset, length, hadUndefinedLength } = elements.find("x7fe00010");
  const wanted = (height * width * allocated) / 8;
  if (hadUndefinedLength) throw notRead("does not state the length of its pixels");
  if (length < wanted || dataOffset + length > elements.bytes.length) {
    throw new Refusal("The file is cut off: its image data end too early.");
  }
  if (length > wanted + (wanted % 2)) {
    throw new Refusal(`The DICOM file holds ${length} bytes of pixels, where ${height} rows of ${width} columns take ${wanted}: ` +
      "its size is stated wrong. Have it exported again.");
  }
  const own = elements.bytes.slice(dataOffset, dataOffset + wanted).buffer; // aligned
  const kinds = { 8: [Uint8Array, Int8Array], 16: [Uint16Array, Int16Array] }; // little-endian, as all that run browsers
  const stored = new kinds[allocated][Number(signed)](own);
  const end = 2 ** (signed ? used - 1 : used);
  if (stored.some((value) => value >= end || value < (signed ? -end : 0))) {
    throw notRead(`says that a pixel has ${used} bits, and holds values that need more`);
  }
  return stored;
}

/** Refuse pixels that are not square: the workflow enlarges the image along one side. */
function checkSquare(elements) {
  for (const tag of ["x00280034", "x00280030", "x00181164"]) {
    const [height, width] = [elements.decimal(tag, 0), elements.decimal(tag, 1)];
    if (!(height > 0 && width > 0)) continue;
    const ratio = Math.max(height / width, width / height);
    if (ratio >= SQUARE_ENOUGH && ratio <= MOST_UNEQUAL) throw notRead("has pixels that are not square");
    return;
  }
}

/** Turn and mirror a frontal image, as `_upright` in images/dicom.py: rows run to the left, columns to the feet. */
function upright(pixels, width, height, directions) {
  const isTurned = "HF".includes(directions[0]);
  const [rows, columns] = isTurned ? [directions[1], directions[0]] : directions;
  if (!directions || /[AP]/.test(directions) || !"LR".includes(rows) || !"HF".includes(columns) || directions === "LF") {
    return { pixels, width, height };
  }
  const [across, down] = isTurned ? [height, width] : [width, height];
  const result = new Uint8Array(pixels.length);
  for (let y = 0; y < down; y++) {
    for (let x = 0; x < across; x++) {
      const column = rows === "R" ? across - 1 - x : x;
      const row = columns === "H" ? down - 1 - y : y;
      result[y * across + x] = isTurned ? pixels[column * width + row] : pixels[row * width + column];
    }
  }
  return { pixels: result, width: across, height: down };
}

/**
 * Decode a DICOM file.
 * @param {Uint8Array} bytes
 * @param {(size: {width: number, height: number}) => void} checkSize throws where an image is too large or too small
 * @param {?Object<string, string[]>} refused values of modality, view and body part that are set apart; null: none
 * @returns {{pixels: Uint8Array, width: number, height: number, colourfulness: number}}
 * @throws {Refusal}
 */
export function decodeDicom(bytes, checkSize, refused) {
  const elements = parsed(bytes);
  checkKind(elements, refused);
  const layout = layOut(elements);
  checkSize(layout);
  checkSquare(elements);
  const pixels = render(elements, storedValues(elements, layout), layout);
  return { ...upright(pixels, layout.width, layout.height, orientation(elements)), colourfulness: 0 };
}
