/** A file that cannot be used, with the one sentence that says why. */
export class Refusal extends Error {}
