// Bundles the page into dist/: two scripts, the style and one WebAssembly file.
import { copyFile, mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const WASM = "ort-wasm-simd-threaded.wasm";
const shared = { bundle: true, minify: true, legalComments: "none", target: "es2022", outdir: "dist" };

await mkdir("dist", { recursive: true });
// A plain script, so that the page can at least say why it does not work when opened from disk.
await build({ ...shared, entryPoints: ["src/viewer.js"], format: "iife" });
await build({ ...shared, entryPoints: ["src/worker.js"], format: "esm" });
await copyFile("viewer.css", "dist/viewer.css");
const runtime = new URL(WASM, import.meta.resolve("onnxruntime-web/wasm"));
await copyFile(fileURLToPath(runtime), `dist/${WASM}`);
