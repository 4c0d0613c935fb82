// How colourful a picture is, as cxrcam/images/colour.py tells it: a radiograph has no colours.

const SIDE = 64; // cells a side whose means are compared: single coloured letters average out

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

  /** Mean distance between the largest and the smallest of red, green and blue, from 0 to 1. */
  colourfulness() {
    let sum = 0;
    let cells = 0;
    this.#pixels.forEach((pixels, cell) => {
      if (!pixels) return; // of pictures that are smaller than 64 pixels
      const colour = this.#sums.subarray(3 * cell, 3 * cell + 3);
      sum += (Math.max(...colour) - Math.min(...colour)) / pixels / 255;
      cells += 1;
    });
    return cells ? sum / cells : 0;
  }
}
