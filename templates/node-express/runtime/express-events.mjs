import { hasBody } from "./body.mjs";
import { carriesEvent, encodeEvent, isEvent, readEvent } from "./cloud-event.mjs";

const READ = Symbol("the event of a request");

/**
 * Gives requests of an application `cloudEvent`, the event that they carry, and its responses `cloudEvent(event)`, which
 * answers with one. Nothing is done before it is asked for.
 */
export function giveEvents({ request, response }) {
  if (request && !("cloudEvent" in request)) {
    Object.defineProperty(request, "cloudEvent", { configurable: true, get: eventOf, set: setEvent });
  }
  if (response && !("cloudEvent" in response)) response.cloudEvent = answerWith;
}

/** As the application's parsers have left the body by now. */
function eventOf() {
  if (!carriesEvent(this.headers)) return undefined;
  const { body } = this;
  if (this[READ] === undefined || this[READ].body !== body) {
    this[READ] = { body, event: readEvent(this.headers, hasBody(this.headers) ? parsed(this, body) : undefined) };
  }
  return this[READ].event;
}

/** Parsers that do not know the type of an event as JSON give it as text, or not at all. */
function parsed({ headers }, body) {
  const isText = typeof body === "string" && headers["ce-specversion"] === undefined;
  return isText ? Buffer.from(body) : body;
}

/** Of applications that have a `cloudEvent` of their own. */
function setEvent(value) {
  Object.defineProperty(this, "cloudEvent", { configurable: true, enumerable: true, writable: true, value });
}

/** @throws {TypeError} naming what keeps the event from being sent */
function answerWith(event) {
  if (!isEvent(event))
    throw new TypeError('what is to be sent is no event: it needs specversion "1.0", type and source');
  const { headers, payload } = encodeEvent(event);
  for (const name in headers) this.setHeader(name, headers[name]);
  this.setHeader("Content-Length", payload.length);
  this.end(payload);
  return this;
}
