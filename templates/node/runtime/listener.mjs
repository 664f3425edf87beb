import { hasBody, readBody } from "./body.mjs";
import { carriesEvent, readEvent } from "./cloud-event.mjs";
import { Answer, Context } from "./context.mjs";
import { contractOf } from "./contract.mjs";
import { Refusal } from "./refusal.mjs";
import { encodeFailure, send } from "./reply.mjs";
import { noBody, parseQuery } from "./variant.mjs";

/**
 * The listener for a handler, by the contract that it keeps.
 * @param settings as of `readSettings`
 */
export async function listenerFor(handler, readSecret, settings) {
  if (contractOf(handler) === "event") return createListener({ handler, readSecret, body: settings.body });
  const { createTextListener } = await import("./text-call.mjs");
  return createTextListener(handler, settings.textContract, refuse);
}

/**
 * A `node:http` request listener that turns each request into a call of `handler(event, context, callback)`.
 * @param readSecret gives the text of a secret by its name, or throws
 * @param body `{ raw, limits }` as in `readBody`
 */
export function createListener({ handler, readSecret, body: bodySettings }) {
  // A handler that names a callback and returns nothing will call it later; the watchdog's exec_timeout is its deadline.
  const takesCallback = handler.length > 2;

  function call(req, res, body) {
    const event = eventOf(req, body);
    const answer = new Answer(res, event.cloudEvent !== undefined);
    const context = new Context(answer, readSecret);
    const onValue = (value) => {
      if (value === undefined && (answer.settled || takesCallback)) return;
      // `return context.status(204)` means an answer without a body.
      answer.succeed(context, value === context ? undefined : value);
    };
    const onError = (error) => answer.crash(context, error);
    try {
      const result = handler(event, context, context.cb);
      if (typeof result?.then === "function") return Promise.resolve(result).then(onValue, onError);
      onValue(result);
    } catch (error) {
      onError(error);
    }
  }

  return function listener(req, res) {
    if (!hasBody(req.headers)) return call(req, res, bodySettings.raw ? Buffer.alloc(0) : noBody());
    return readBody(req, bodySettings).then(
      (body) => call(req, res, body),
      (error) => refuse(res, error),
    );
  };
}

function eventOf(req, body) {
  const { url, headers } = req;
  const mark = url.indexOf("?");
  const event = {
    body,
    headers,
    method: req.method,
    query: mark === -1 ? {} : parseQuery(url.slice(mark + 1)),
    path: mark === -1 ? url : url.slice(0, mark),
  };
  const cloudEvent = carriesEvent(headers) ? readEvent(headers, body) : undefined;
  if (cloudEvent !== undefined) event.cloudEvent = cloudEvent;
  return event;
}

function refuse(res, error) {
  if (error instanceof Refusal && !res.headersSent && !res.destroyed) {
    send(res, error.status, {}, encodeFailure(`${error.message}\n`));
    return;
  }
  // The connection broke, so there is nobody to tell but the log.
  console.error("a request's body could not be read:", error.message);
  res.destroy();
}
