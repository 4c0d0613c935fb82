// Does a picture look like those that the network was trained on? As cxrcam/new_images asks it: by the
// correlation of small pictures, and never by the network, which answers for a cat as well.

/** Where the pixel of a changed picture comes from, by row and column. */
const TURNS = {
  "turned by 90° to the right": (row, column, last) => [column, last - row],
  "upside down": (row, column, last) => [last - row, last - column],
  "turned by 90° to the left": (row, column, last) => [last - column, row],
  "upside down and mirrored": (row, column, last) => [last - row, column],
};
const INVERTED = "with black and white exchanged";
const MOST_SHOWN = 5;

/** Grey levels of mean 0 and length 1, so that sums of products are correlations. */
function normalised(pixels) {
  const mean = pixels.reduce((a, b) => a + b, 0) / pixels.length;
  const centred = Float32Array.from(pixels, (value) => value - mean);
  const length = Math.hypot(...centred);
  return length ? centred.map((value) => value / length) : centred;
}

function turned(picture, side, turn) {
  return picture.map((_, i) => {
    const [row, column] = turn(Math.floor(i / side), i % side, side - 1);
    return picture[row * side + column];
  });
}

function correlation(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return Math.min(Math.max(sum, -1), 1);
}

/** Standard deviation of grey levels. */
export function contrast(pixels) {
  const mean = pixels.reduce((a, b) => a + b, 0) / pixels.length;
  return Math.sqrt(pixels.reduce((sum, value) => sum + (value - mean) ** 2, 0) / pixels.length);
}

export class TrainingPictures {
  #side;
  #labels;
  #pictures;
  #known;

  /**
   * @param {{side: number, labels: number[]}} card
   * @param {Uint8Array} bytes grey levels, picture after picture
   */
  constructor({ side, labels }, bytes) {
    const cells = side * side;
    this.#side = side;
    this.#labels = labels;
    this.#pictures = labels.map((_, k) => bytes.subarray(k * cells, (k + 1) * cells));
    this.#known = this.#pictures.map(normalised);
  }

  /**
   * Compare a small picture with all of them.
   * @returns {{similarity: number, gain: number, change: string, nearest: object[]}} the largest correlation;
   *   how much larger it would be after undoing the best change, and which; the most similar pictures
   */
  compare(small) {
    const own = normalised(small);
    const correlations = this.#known.map((known) => correlation(own, known));
    const similarity = Math.max(...correlations);
    const best = (picture) => Math.max(...this.#known.map((known) => correlation(picture, known)));
    const changed = Object.entries(TURNS).map(([change, turn]) => [change, best(turned(own, this.#side, turn))]);
    changed.push([INVERTED, best(own.map((value) => -value))]);
    const [change, after] = changed.reduce((a, b) => (b[1] > a[1] ? b : a));
    const nearest = correlations
      .map((value, k) => ({ label: this.#labels[k], similarity: value, pixels: this.#pictures[k] }))
      .sort((a, b) => b.similarity - a.similarity)
      .slice(0, MOST_SHOWN);
    return { similarity, gain: after - similarity, change, nearest };
  }
}

/**
 * Why a picture is no input for the network, or null; the words of new_images/answers.py.
 * @param {{colourfulness: number, contrast: number, similarity: number, gain: number, change: string}} seen
 */
export function inputFault(seen, { least_contrast, most_colour, least_similarity, most_gain }) {
  const { similarity, gain, change } = seen;
  if (seen.contrast < least_contrast) {
    return `the image is blank or nearly so (its grey levels vary by ${seen.contrast.toFixed(1)} of 255)`;
  }
  if (seen.colourfulness > most_colour) {
    return "the image is in colour, as a photograph is and no radiograph (red, green and blue differ by " +
      `${(100 * seen.colourfulness).toFixed(0)} % or more in a tenth of it)`;
  }
  if (gain > most_gain && similarity + gain >= least_similarity) {
    return `it looks like a training image ${change} (correlation ${(similarity + gain).toFixed(2)} when that is ` +
      `undone, ${similarity.toFixed(2)} as it is)`;
  }
  if (similarity < least_similarity || gain > most_gain) {
    return `it is unlike every training image: the most similar one correlates at ${similarity.toFixed(2)}, and usual ` +
      `images reach ${least_similarity.toFixed(2)}`;
  }
  return null;
}
