// The page: takes a file, asks the worker, shows what the network says, and the warnings beside it.

import { drawEvidence, drawGrey, drawScale } from "./drawing.js";

const part = (id) => document.getElementById(id);

/** Messages to the worker, and its answers in the order of their numbers. */
class Network {
  #worker;
  #waiting = new Map();
  #next = 0;

  constructor(source) {
    // From its text, so that it is under the same Content-Security-Policy as the page.
    const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
    this.#worker = new Worker(address, { type: "module" });
    this.#worker.addEventListener("message", ({ data }) => {
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    });
    this.#worker.addEventListener("error", () => this.#stopped());
  }

  #stopped() {
    for (const answer of this.#waiting.values()) answer({ fault: "the network stopped" });
    this.#waiting.clear();
  }

  ask(action, given) {
    const id = this.#next++;
    return new Promise((answer) => {
      this.#waiting.set(id, answer);
      this.#worker.postMessage({ id, action, ...given });
    });
  }
}

function say(text, isFault = false) {
  part("status").textContent = text;
  part("status").classList.toggle("failed", isFault);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;

/** Of the answer in large letters: never "100 %", which no network can promise. */
const wholePercent = (share) => (share > 0.99 ? "over 99 %" : `${Math.round(100 * share)} %`);

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name}: ${response.status}`);
  return response;
}

class Viewer {
  #model;
  #network;
  #shown = null;
  #newest = 0;

  async start() {
    if (location.protocol === "file:") {
      say("A browser does not run a network from a file: start the page with `python -m workflow_scripts.cxrcam.viewer.serve` and its folder, or with any server of static files.", true);
      return;
    }
    try {
      this.#model = await (await fetched("model.json")).json();
      this.#describe();
      this.#network = new Network(await (await fetched("worker.js")).text());
      const { fault } = await this.#network.ask("load", { folder: location.href, card: this.#model });
      if (fault) throw new Error(fault);
    } catch (error) {
      say(`The network could not be loaded (${error.message}): make the page again with \`snakemake viewer\`.`, true);
      return;
    }
    part("file").disabled = false;
    part("drop").classList.add("ready");
    say("Ready. No image leaves this computer.");
    this.#listen();
  }

  #describe() {
    const model = this.#model;
    if (model.map_kind !== "none") {
      for (const [k, name] of model.classes.entries()) part("map-class").add(new Option(name, k));
      drawScale(part("scale"), model.evidence_colours);
    }
  }

  #listen() {
    part("file").addEventListener("change", ({ target }) => {
      if (target.files.length) this.show(target.files[0]);
      target.value = ""; // the same file can be chosen again
    });
    for (const kind of ["dragover", "drop"]) {
      document.addEventListener(kind, (event) => event.preventDefault());
    }
    document.addEventListener("dragover", () => part("drop").classList.add("over"));
    document.addEventListener("dragleave", () => part("drop").classList.remove("over"));
    document.addEventListener("drop", ({ dataTransfer }) => {
      part("drop").classList.remove("over");
      if (dataTransfer.files.length) this.show(dataTransfer.files[0]);
    });
    part("map-class").addEventListener("change", () => this.#drawMap());
    part("opacity").addEventListener("input", () => this.#fade());
  }

  /** Predict a file and show it; what was shown before goes. */
  async show(file) {
    const mine = ++this.#newest;
    part("result").hidden = true;
    say(`Reading ${file.name} …`);
    const { result, sentence, fault } = await this.#network.ask("predict", { file });
    if (mine !== this.#newest) return; // another file was chosen meanwhile
    if (!result) {
      say(`${file.name}: ${sentence ?? `the image could not be used (${fault}).`}`, true);
      part("status").scrollIntoView({ block: "nearest" });
      return;
    }
    this.#shown = result;
    this.#fill(file.name);
    part("result").hidden = false;
    const { reading, network } = result.seconds;
    const answer = [part("result-title").textContent, result.unlike].filter(Boolean).join(": ");
    say(`${answer}. ${file.name}: ${(reading + network).toFixed(2)} s, of which the network took ${network.toFixed(2)} s.`);
    part("result-title").focus({ preventScroll: true });
    part("result").scrollIntoView({ block: "start" });
    document.dispatchEvent(new CustomEvent("predicted", { detail: { ...result, name: file.name } }));
  }

  #fill(name) {
    const { probabilities, pixels, width, height, unlike, nearest, isDrawn } = this.#shown;
    const likeliest = probabilities.indexOf(Math.max(...probabilities));
    part("result-title").textContent = unlike ? "No answer"
      : `${this.#model.classes[likeliest]} ${wholePercent(probabilities[likeliest])}, ${this.#model.verdict.in_short}`;
    const rows = this.#model.classes.map((label, k) => {
      const row = part("row").content.cloneNode(true);
      row.querySelector("th").textContent = label;
      row.querySelector(".bar").style.width = `${100 * probabilities[k]}%`;
      row.querySelector(".number").textContent = percent(probabilities[k]);
      return row;
    });
    part("probabilities").replaceChildren(...rows);
    // Of what is no input for the network, nothing is said: its numbers would mean nothing.
    part("unlike").hidden = !unlike;
    part("unlike").textContent = unlike ? `Because ${unlike}.` : "";
    part("said").hidden = Boolean(unlike);
    // Not even the classes of training images, where the network has nothing to say of any X-ray.
    part("likeness").hidden = Boolean(this.#model.only_drawn && !isDrawn);
    part("drawn").hidden = !isDrawn;
    this.#showMaps(this.#model.map_kind !== "none" && !unlike);
    part("nearest").replaceChildren(...nearest.map((picture) => this.#training(picture)));
    const canvas = part("xray");
    Object.assign(canvas, { width, height });
    canvas.setAttribute("aria-label", `X-ray ${name}, ${width} x ${height} pixels`);
    drawGrey(canvas, pixels);
    part("map-class").value = String(likeliest);
    this.#drawMap();
  }

  /** A small picture of a training image, with its label. */
  #training({ label, similarity, pixels }) {
    const { side } = this.#model.trained_on;
    const shown = part("training").content.cloneNode(true);
    const canvas = shown.querySelector("canvas");
    Object.assign(canvas, { width: side, height: side });
    drawGrey(canvas, pixels);
    shown.querySelector("b").textContent = this.#model.classes[label];
    shown.querySelector("span").textContent = similarity.toFixed(2);
    return shown;
  }

  #showMaps(shown) {
    for (const element of document.querySelectorAll(".with-map")) element.hidden = !shown;
  }

  #drawMap() {
    const { maps } = this.#shown ?? {};
    if (!maps) return;
    const k = Number(part("map-class").value);
    const { classes, map_scale: scale } = this.#model;
    const found = drawEvidence(part("evidence"), maps[k], this.#model);
    part("evidence").setAttribute("aria-label", `Where the network finds evidence for ${classes[k]}`);
    // Evidence is a logit less the mean of all; log-odds are a logit less the mean of the others.
    const full = (scale * classes.length) / (classes.length - 1);
    const legend = `+${full.toPrecision(3)} at full colour: evidence for ${classes[k]}, log-odds per cell. Lines: the smallest regions that hold half (thin) and a quarter (thick) of it; dashed where it is faint, under ¼ of full colour.`;
    part("legend").textContent = found ? legend : `${legend} No evidence for ${classes[k]} here.`;
    this.#fade();
  }

  #fade() {
    const { value } = part("opacity");
    part("evidence").style.opacity = value / 100;
    part("opacity-shown").textContent = `${value} %`;
  }
}

new Viewer().start();
