const MIB = 1024 ** 2;

/** What a queue's streams reserve on a server for finished calls and dead letters, unless it is said. */
export const DEFAULT_RESERVED_BYTES = 1280 * MIB;

/** Less than this is no help to anybody. */
export const MIN_RESERVED_BYTES = 32 * MIB;
