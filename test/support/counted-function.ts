import { FunctionMeter } from "../../gateway/proxy/function-meter.ts";
import type { SampledFunction } from "../../gateway/ui/live/series-book.ts";

/** A function whose calls a test counts. */
export class Counted implements SampledFunction {
  readonly qualifiedName: string;
  readonly namespace: string;
  wholeMeter = new FunctionMeter();
  held = { count: 0 };
  snapshot = { replicas: 1 };
  readyReplicas = 1;

  constructor(qualifiedName = "f.fn") {
    this.qualifiedName = qualifiedName;
    this.namespace = qualifiedName.slice(qualifiedName.lastIndexOf(".") + 1);
  }

  /** Calls that begin and end. */
  calls(count: number, code = 200, seconds = 0.004): void {
    for (let call = 0; call < count; call++) {
      this.wholeMeter.start();
      this.wholeMeter.end(code, seconds);
    }
  }
}
