/** one call's place in a {@link StartOrder}. */
export interface StartPosition {
  /** Resolves when all calls before this one have begun, or never will. */
  readonly come: Promise<void>;
  /** To be called when this call has begun, or is not to begin. May be called twice. */
  pass(): void;
}

/** Lets calls begin in their order, though what has to be read before takes longer for some of them. */
export class StartOrder {
  #last: Promise<void> | undefined;

  /** Whether nobody who has joined is yet to begin. */
  get idle(): boolean {
    return this.#last === undefined;
  }

  /** Behind all who have joined before. */
  join(): StartPosition {
    const come = this.#last ?? Promise.resolve();
    const passed = Promise.withResolvers<void>();
    const last = come.then(() => passed.promise);
    this.#last = last;
    void last.then(() => {
      if (this.#last === last) this.#last = undefined;
    });
    return { come, pass: () => passed.resolve() };
  }
}
