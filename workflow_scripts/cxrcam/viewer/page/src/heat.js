// An X-ray, and raw class activation as heat over it, as cxrcam/maps/placement.py and overlays.py draw it.

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
export function placeMap({ values, height, width }, size, model) {
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

/** Opaque from half of the scale, clear where there is no evidence, smooth between. */
function opacityOf(level) {
  const ramp = Math.min((2 * level) / 255, 1);
  return Math.round(255 * ramp * ramp * (3 - 2 * ramp));
}

/** Colours of heat from 0 to 1, which model.json holds as one line of hexadecimal digits. */
function colourOf(colours, level) {
  return [0, 2, 4].map((i) => parseInt(colours.slice(6 * level + i, 6 * level + i + 2), 16));
}

/** Draw a raw map on a square canvas: clear where nothing speaks for the class. */
export function drawHeat(canvas, map, model) {
  const { width: size } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(size, size);
  placeMap(map, size, model).forEach((value, i) => {
    const heat = Math.min(Math.max(value / model.map_scale, 0), 1);
    const level = Math.floor(heat * 255 + 0.5);
    picture.data.set([...colourOf(model.heat_colours, level), opacityOf(level)], 4 * i);
  });
  context.putImageData(picture, 0, 0);
}

/** Draw the colours of the scale from left to right. */
export function drawScale(canvas, colours) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x++) {
    const level = Math.round((255 * x) / (canvas.width - 1));
    context.fillStyle = `rgb(${colourOf(colours, level).join(" ")} / ${opacityOf(level) / 255})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}
