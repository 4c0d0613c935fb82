// Decoding and the network, beside the page, so that it never freezes.

import * as ort from "onnxruntime-web/wasm";
import { TrainingPictures, contrast, inputFault } from "./training_pictures.js";
import { readImage } from "./read_image.js";
import { Refusal } from "./refusal.js";
import { resizeGrey } from "./resize.js";

let session;
let model;
let trainedOn;

async function fetched(name, folder) {
  const response = await fetch(new URL(name, folder));
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response.arrayBuffer();
}

async function load({ folder, card }) {
  // One thread: more would need headers that the simplest servers do not send.
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", folder).href };
  model = card;
  trainedOn = new TrainingPictures(card.trained_on, new Uint8Array(await fetched("training.bin", folder)));
  session = await ort.InferenceSession.create(await fetched("model.onnx", folder), { executionProviders: ["wasm"] });
  return {};
}

/** Softmax of logits divided by the temperature. */
function calibrated(logits, temperature) {
  const scaled = Array.from(logits, (logit) => logit / temperature);
  const largest = Math.max(...scaled);
  const powers = scaled.map((value) => Math.exp(value - largest));
  const sum = powers.reduce((a, b) => a + b, 0);
  return powers.map((value) => value / sum);
}

/** The map of each class, from a tensor of shape (1, classes, height, width). */
function splitMaps({ data, dims: [, classes, height, width] }) {
  const cells = height * width;
  return Array.from({ length: classes }, (_, k) => ({ values: data.slice(k * cells, (k + 1) * cells), height, width }));
}

async function predict({ file }) {
  const began = performance.now();
  const image = await readImage(file, model.jpeg_least_side, model.dicom_refused);
  const size = model.image_size;
  const input = Float32Array.from(resizeGrey(image, size, model.resampling));
  const found = trainedOn.compare(resizeGrey(image, model.trained_on.side, "lanczos"));
  const seen = { ...found, colourfulness: image.colourfulness, contrast: contrast(input) };
  const decoded = performance.now();
  const outputs = await session.run({ pixels: new ort.Tensor("float32", input, [1, 1, size, size]) });
  const ended = performance.now();
  return {
    ...image,
    ...seen,
    unlike: model.only_drawn && !image.isDrawn ? model.only_drawn : inputFault(seen, model.trained_on),
    probabilities: calibrated(outputs.logits.data, model.temperature),
    maps: outputs.maps ? splitMaps(outputs.maps) : null,
    seconds: { reading: (decoded - began) / 1000, network: (ended - decoded) / 1000 },
  };
}

const ACTIONS = { load, predict };

addEventListener("message", async ({ data: { id, action, ...given } }) => {
  try {
    postMessage({ id, result: await ACTIONS[action](given) });
  } catch (error) {
    const sentence = error instanceof Refusal ? error.message : null;
    postMessage({ id, sentence, fault: sentence ? null : String(error) });
  }
});
