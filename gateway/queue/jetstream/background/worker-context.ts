import { Context } from "../store/context.ts";
import { ServerLife } from "./server-life.ts";

/** What a process works with that takes calls from the queue as well. */
export class WorkerContext extends Context {
  readonly server = new ServerLife(this);
}
