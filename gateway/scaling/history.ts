import type { Sample } from "../core/scaling/sample.ts";

/** Samples a function's history holds; an hour when something happens in each second. */
const MAX_SAMPLES = 3_600;
const SECOND_MS = 1000;

/** The last samples of one function. Only changes are kept: a fact stands until the next one. */
export class SampleHistory {
  #samples: Sample[] = [];
  #newestAt = 0;

  add(sample: Sample): void {
    this.#newestAt = sample.t;
    const last = this.#samples.at(-1);
    if (last && sameFacts(last, sample)) return;
    this.#samples.push(sample);
    // Thrown away in pieces: shifting each time would cost a copy each time.
    if (this.#samples.length > MAX_SAMPLES * 1.25) this.#samples = this.#samples.slice(-MAX_SAMPLES);
  }

  /**
   * Oldest first; of a fact that stood for longer its first and its last second, so that an hour of rest costs two.
   * @param since milliseconds since the epoch
   */
  *read(since = 0): Generator<Sample> {
    for (const [i, sample] of this.#samples.entries()) {
      const next = this.#samples[i + 1];
      const until = next ? next.t - SECOND_MS : this.#newestAt;
      const from = Math.max(sample.t, since);
      if (from > Math.max(sample.t, until)) continue;
      yield { ...sample, t: from };
      // What was measured a little late did not stand for longer.
      if (until - from >= SECOND_MS / 2) yield { ...sample, t: until };
    }
  }
}

function sameFacts({ t: _a, ...a }: Sample, { t: _b, ...b }: Sample): boolean {
  const [names, others] = [Object.keys(a) as (keyof typeof a)[], Object.keys(b)];
  return names.length === others.length && names.every((name) => a[name] === b[name]);
}
