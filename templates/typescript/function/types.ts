/** A request. `body`: by its type an object, a string or a Buffer; undefined without one. */
export interface FunctionEvent {
  readonly body: unknown;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly method: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | string[] | undefined>>;
  /** Only when the request carries one. One that is returned is the reply to it. */
  readonly cloudEvent?: CloudEvent;
}

/** A CloudEvent: its attributes, and its data by their type an object, a string or a Buffer. */
export interface CloudEvent {
  readonly specversion: string;
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly data?: unknown;
  readonly [attribute: string]: unknown;
}

export interface FunctionContext {
  /** Sets the status. */
  status(code: number): FunctionContext;
  /** Replaces the headers. */
  headers(values: Readonly<Record<string, string>>): FunctionContext;
  succeed(value?: unknown): void;
  fail(reason?: unknown): void;
  /** The text of a secret. */
  secret(name: string): string;
}
