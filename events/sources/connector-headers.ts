import type { HeaderList } from "../store/event-store.ts";

const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}$/;
/** Printable ASCII that neither begins nor ends with a space, which would be lost. */
const PLAIN = /^(?:[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)?$/;
const MAX_VALUE_BYTES = 4096;
const MAX_HEADERS = 100;

/** Headers as the connectors of OpenFaaS send them: `X-Connector`, `X-Topic`, and a source's own. */
export class ConnectorHeaders {
  readonly #headers: (readonly [string, string])[] = [];

  constructor(connector: string, topic: string) {
    this.add("X-Connector", connector);
    this.add("X-Topic", topic);
  }

  /**
   * Adds one; what no header can hold goes as base64, with `NAME-Enc: b64` beside it. A name that is none, and what is
   * longer than a header should be, is left out.
   */
  add(name: string, value: string | Uint8Array | undefined): this {
    if (value === undefined || !TOKEN.test(name) || this.#headers.length >= MAX_HEADERS) return this;
    const bytes = typeof value === "string" ? Buffer.from(value) : Buffer.from(value);
    if (bytes.length > MAX_VALUE_BYTES) return this;
    const text = bytes.toString("latin1");
    if (PLAIN.test(text)) this.#headers.push([name, text]);
    else this.#headers.push([name, bytes.toString("base64")], [`${name}-Enc`, "b64"]);
    return this;
  }

  get list(): HeaderList {
    return this.#headers;
  }
}
