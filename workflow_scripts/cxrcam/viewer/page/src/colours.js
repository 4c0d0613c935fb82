// How colourful a picture is, as cxrcam/images/colour.py tells it: a radiograph has no colours.

const SIDE = 64; // cells a side whose means are compared: noise and single letters average out
const COLOURED_SHARE = 0.1; // of the cells, that a coloured marker may cover

/** Adds up the colours of a picture, pixel by pixel. */
export class Colours {
  #sums = new Float64Array(3 * SIDE * SIDE);
  #pixels = new Uint32Array(SIDE * SIDE);
  #width;
  #height;

  constructor(width, height) {
    this.#width = width;
    this.#height = height;
  }

  /** Takes pixel number `i`, counted row by row. */
  add(i, red, green, blue) {
    const row = Math.floor((Math.floor(i / this.#width) * SIDE) / this.#height);
    const cell = row * SIDE + Math.floor(((i % this.#width) * SIDE) / this.#width);
    this.#sums[3 * cell] += red;
    this.#sums[3 * cell + 1] += green;
    this.#sums[3 * cell + 2] += blue;
    this.#pixels[cell] += 1;
  }

  /** Distance of red, green and blue that only a tenth of the picture exceeds, from 0 to 1. */
  colourfulness() {
    const distances = [];
    this.#pixels.forEach((pixels, cell) => {
      if (!pixels) return; // of pictures that are smaller than 64 pixels
      const colour = this.#sums.subarray(3 * cell, 3 * cell + 3);
      distances.push((Math.max(...colour) - Math.min(...colour)) / pixels / 255);
    });
    distances.sort((a, b) => a - b);
    return distances.at(-1 - Math.floor(COLOURED_SHARE * distances.length)) ?? 0;
  }
}
