// An X-ray, and the evidence on it, as cxrcam/maps/placement.py, regions.py and overlays.py draw it.

/** Draw grey levels, row by row, on a canvas of their size. */
export function drawGrey(canvas, pixels) {
  const picture = new ImageData(canvas.width, canvas.height);
  const words = new Uint32Array(picture.data.buffer);
  pixels.forEach((grey, i) => { words[i] = 0xff000000 | (grey * 0x010101); });
  canvas.getContext("2d").putImageData(picture, 0, 0);
}

/** Cells of a map at which the pixels of a picture of `size` pixels a side are read. */
function positions(size, cells, { input_size, map_offset, map_stride }) {
  return Array.from({ length: size }, (_, pixel) => {
    const cell = (((pixel + 0.5) * input_size) / size - 0.5 - map_offset) / map_stride;
    const held = Math.min(Math.max(cell, 0), cells - 1);
    const low = Math.floor(held);
    return { low, high: Math.min(low + 1, cells - 1), share: held - low };
  });
}

/**
 * A raw map laid over a square of `size` pixels, bilinearly: each cell where the network looked.
 * @param {{values: Float32Array, height: number, width: number}} map
 */
function placeMap({ values, height, width }, size, model) {
  const rows = positions(size, height, model);
  const columns = positions(size, width, model);
  const placed = new Float32Array(size * size);
  const at = (row, column) => values[row * width + column];
  rows.forEach((row, y) => columns.forEach((column, x) => {
    const upper = at(row.low, column.low) * (1 - column.share) + at(row.low, column.high) * column.share;
    const lower = at(row.high, column.low) * (1 - column.share) + at(row.high, column.high) * column.share;
    placed[y * size + x] = upper * (1 - row.share) + lower * row.share;
  }));
  return placed;
}

const SHARES = [0.5, 0.25]; // of the evidence, that lines enclose
const WIDTHS = [1, 2]; // of those lines, in pixels
const OPACITY = 0.5; // of full colour
const FAINT = 0.25; // of the scale: lines around less are dashed
const DASH = { length: 7, period: 12 };

/** From which value on the largest values hold each share of all that is positive. */
function thresholds(values, shares) {
  const positive = values.filter((value) => value > 0).sort().reverse();
  const total = positive.reduce((sum, value) => sum + value, 0);
  return shares.map((share) => {
    let held = 0;
    return positive.find((value) => (held += value) >= share * total) ?? Infinity;
  });
}

/** Pixels of a region within `width` of a neighbour outside; the border of the picture is none. */
function outline(inside, size, width) {
  let core = inside;
  for (let step = 0; step < width; step++) {
    const outer = core;
    core = outer.map((is, i) => {
      const x = i % size;
      return is && (x === 0 || outer[i - 1]) && (x === size - 1 || outer[i + 1]) && (outer[i - size] ?? 1) && (outer[i + size] ?? 1);
    });
  }
  return inside.map((is, i) => is && !core[i]);
}

/** Whether a pixel of a dashed line is drawn: dashes run across the slope of the map. */
function isDash(values, size, i) {
  const [x, y] = [i % size, Math.floor(i / size)];
  const fall = (position, step) => {
    const [before, after] = [position > 0 ? i - step : i, position < size - 1 ? i + step : i];
    return Math.abs(values[after] - values[before]) / ((after - before) / step);
  };
  return (fall(y, size) > fall(x, 1) ? x : y) % DASH.period < DASH.length;
}

/** Colours of evidence from none to full, which model.json holds as one line of hexadecimal digits. */
function colourOf(colours, level) {
  return [0, 2, 4].map((i) => parseInt(colours.slice(6 * level + i, 6 * level + i + 2), 16));
}

/** Colour and opacity of evidence, 1 at the end of the scale. */
function fill(strength, colours) {
  const held = Math.min(strength, 1);
  return [...colourOf(colours, Math.round(254 * held)), Math.round(255 * OPACITY * held ** 1.5)];
}

/**
 * Draw a map on a square canvas: lines around the smallest regions that hold half and a quarter of what speaks for the
 * class, and light colour inside; clear elsewhere.
 * @returns {boolean} whether anything speaks for the class
 */
export function drawEvidence(canvas, map, model) {
  const { width: size } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(size, size);
  const strength = placeMap(map, size, model).map((value) => value / model.map_scale);
  const strongest = strength.reduce((a, b) => Math.max(a, b));
  const regions = thresholds(strength, SHARES).map((least) => Uint8Array.from(strength, (value) => value >= least));
  strength.forEach((value, i) => {
    if (regions[0][i]) picture.data.set(fill(value, model.evidence_colours), 4 * i);
  });
  regions.forEach((region, k) => outline(region, size, WIDTHS[k]).forEach((is, i) => {
    if (is && (strongest >= FAINT || isDash(strength, size, i))) {
      picture.data.set([...colourOf(model.evidence_colours, 255), 255], 4 * i);
    }
  }));
  context.putImageData(picture, 0, 0);
  return strongest > 0;
}

/** Draw the colours of the scale from left to right. */
export function drawScale(canvas, colours) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    const [red, green, blue, opacity] = fill(x / (canvas.width - 1), colours);
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${opacity / 255})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
