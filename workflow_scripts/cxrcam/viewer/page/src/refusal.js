/** A file that cannot be used, with the one sentence that says why. */
export class Refusal extends Error {}

/** What to do with a file that the workflow reads and this page does not; ends a sentence. */
export const PREDICT = "snakemake predict --config predict_images=FILE reads it";
