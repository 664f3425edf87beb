import { Callers } from "../support/callers.ts";
import { ScalingPlatform } from "../support/scaling-platform.ts";

/** One look at the step. */
export interface StepSample {
  /** Milliseconds since the epoch. */
  readonly t: number;
  /** Calls in flight. */
  readonly load: number;
  readonly wanted: number;
  readonly ready: number;
}

export interface StepRun {
  readonly samples: readonly StepSample[];
  /** Milliseconds from the step until as many replicas as the load needs are ready. */
  readonly fullScaleMs: number;
  readonly calls: number;
  readonly failures: readonly string[];
}

const SAMPLE_MS = 200;
const BEFORE_MS = 6_000;
const HIGH_MS = 12_000;
/** The window has to forget the step, and halving takes a few decisions. */
const AFTER_MS = 24_000;

/** Calls in flight of one replica, before and during the step, and the replicas that they need. */
export const STEP = { target: 4, low: 2, high: 20, full: 5, callMs: 100, windowS: 10 };

/** A load that becomes ten times as much from one moment to the next, and goes back, on the real platform. */
export async function runStep(): Promise<StepRun> {
  const on = await ScalingPlatform.start();
  const callers = new Callers(on.url("step", `?ms=${STEP.callMs}`));
  try {
    const labels = {
      "com.openfaas.scale.type": "capacity",
      "com.openfaas.scale.target": String(STEP.target),
      "com.openfaas.scale.target-proportion": "1",
      "com.openfaas.scale.max": String(STEP.full),
      "com.faaslane.scale.window": `${STEP.windowS}s`,
      "com.faaslane.scale.down-delay": "0s",
    };
    await on.deploy("step", { labels });
    await on.whenScaled("step", 1);
    const samples: StepSample[] = [];
    let sampling: Promise<unknown> = Promise.resolve();
    const sample = async () => {
      const t = Date.now();
      const load = callers.parallel;
      samples.push({ t, load, ...(await on.replicas("step")) });
    };
    let failure: unknown;
    const timer = setInterval(() => {
      sampling = sampling.then(sample).catch((error: unknown) => {
        failure ??= error;
      });
    }, SAMPLE_MS);
    const stay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    callers.set(STEP.low);
    await stay(BEFORE_MS);
    const steppedAt = Date.now();
    callers.set(STEP.high);
    await stay(HIGH_MS);
    callers.set(STEP.low);
    await stay(AFTER_MS);
    clearInterval(timer);
    await sampling;
    if (failure) throw failure;
    const full = samples.find(({ t, ready }) => t >= steppedAt && ready >= STEP.full);
    const fullScaleMs = full ? full.t - steppedAt : Number.POSITIVE_INFINITY;
    return { samples, fullScaleMs, calls: callers.done, failures: callers.failures };
  } finally {
    await callers.stop();
    await on.stop();
  }
}
