import type { Sample } from "../core/scaling/sample.ts";

/** Samples a function's history holds; an hour when something happens in each second. */
const MAX_SAMPLES = 3_600;

/** The last samples of one function. Only changes are kept; what is read has a sample per second again. */
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

  /** Oldest first. @param since milliseconds since the epoch */
  *read(since = 0): Generator<Sample> {
    for (const [i, sample] of this.#samples.entries()) {
      const until = this.#samples[i + 1]?.t ?? this.#newestAt + 1;
      // A fact stands until the next one; of what stands for long, a minute apart is enough for a replay.
      const step = until - sample.t > 600_000 ? 60_000 : 1000;
      for (let t = sample.t; t < until; t += step) if (t >= since) yield { ...sample, t };
    }
  }
}

function sameFacts({ t: _a, ...a }: Sample, { t: _b, ...b }: Sample): boolean {
  const [names, others] = [Object.keys(a) as (keyof typeof a)[], Object.keys(b)];
  return names.length === others.length && names.every((name) => a[name] === b[name]);
}
