import { encodeEvent, isEvent } from "./cloud-event.mjs";
import { encode, encodeFailure, send } from "./reply.mjs";
import { sendStream } from "./stream.mjs";

/** One answer, given once: by `succeed`, `fail`, the callback, the returned value or the thrown error. */
export class Answer {
  settled = false;
  #res;
  #toEvent;

  /** @param toEvent whether the call is for an event, to which an event may be the reply */
  constructor(res, toEvent = false) {
    this.#res = res;
    this.#toEvent = toEvent;
  }

  succeed(context, value, encoder = encode) {
    if (this.#settle()) this.#send(context.statusCode, context.headerValues, encoder, value);
  }

  /** A status that the function has set is kept; 200 becomes 500. */
  fail(context, reason) {
    if (!this.#settle()) return;
    console.error(reason);
    const status = context.statusCode === 200 ? 500 : context.statusCode;
    this.#send(status, context.headerValues, encodeFailure, reason);
  }

  /** Nobody foresaw this one, so a status that promises success is not kept. */
  crash(context, error) {
    if (this.settled) {
      console.error("the function failed after it had answered:", error);
      return;
    }
    if (context.statusCode < 400) context.statusCode = 500;
    this.fail(context, error);
  }

  #settle() {
    if (this.settled) {
      console.error("the function answered more than once: only its first answer is sent");
      return false;
    }
    this.settled = true;
    return true;
  }

  #send(status, headers, encoder, value) {
    const res = this.#res;
    // The watchdog may have given up on the call, or the caller on us.
    if (res.headersSent || res.destroyed) return;
    try {
      if (this.#toEvent && encoder === encode && isEvent(value)) {
        const reply = encodeEvent(value);
        send(res, status, { ...headers, ...reply.headers }, { payload: reply.payload, type: undefined });
        return;
      }
      const answer = encoder(value);
      if (answer.source === undefined) send(res, status, headers, answer);
      else sendStream(res, status, headers, answer).catch((error) => this.#unsendable(error));
    } catch (error) {
      this.#unsendable(error);
    }
  }

  #unsendable(error) {
    if (this.#res.destroyed) return; // the caller has left, and what was sent to it broke off
    console.error("the function's answer cannot be sent:", error);
    // A part must not pass for the whole.
    if (this.#res.headersSent) this.#res.destroy();
    else send(this.#res, 500, {}, encodeFailure("the function's answer cannot be sent\n"));
  }
}

/** The handler's second argument. */
export class Context {
  statusCode = 200;
  headerValues = {};
  /** How often `succeed` and `fail` were called. */
  cbCalled = 0;
  #answer;
  #readSecret;

  constructor(answer, readSecret) {
    this.#answer = answer;
    this.#readSecret = readSecret;
    this.cb = (error, value) => (error ? answer.fail(this, error) : answer.succeed(this, value));
  }

  /** Sets the status and returns the context; without an argument, the status. */
  status(code) {
    if (!code) return this.statusCode;
    this.statusCode = code;
    return this;
  }

  /** Replaces all headers and returns the context; without an argument, the headers. */
  headers(values) {
    if (!values) return this.headerValues;
    this.headerValues = values;
    return this;
  }

  succeed(value) {
    this.cbCalled++;
    this.#answer.succeed(this, value);
  }

  fail(reason) {
    this.cbCalled++;
    this.#answer.fail(this, reason);
  }

  /** The text of a secret of this function, without its trailing line break. Throws when it has none of that name. */
  secret(name) {
    return this.#readSecret(name);
  }
}
