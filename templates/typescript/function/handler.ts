import type { FunctionContext, FunctionEvent } from "./types.ts";

/** What is returned is the answer: an object becomes JSON. */
export default async (event: FunctionEvent, context: FunctionContext) => {
  context.status(200);
  return {
    received: event.body ?? null,
    method: event.method,
    path: event.path,
  };
};
