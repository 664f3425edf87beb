/** Failures of the machine beneath the platform, which pass: nobody has asked for anything wrong. */
export interface Shortage {
  /** `noSpace`: writes find no room; all else goes on. */
  readonly kind: "noSpace" | "unavailable";
  /** For the caller; names no paths. */
  readonly message: string;
}

const BY_CODE: Readonly<Record<string, Shortage>> = {
  ENOSPC: {
    kind: "noSpace",
    message: "no space is left on the platform's disk; nothing can be stored until there is some",
  },
  EDQUOT: { kind: "noSpace", message: "the platform's disk quota is used up; nothing can be stored until it is not" },
  EROFS: { kind: "unavailable", message: "the platform's disk is read-only" },
  EIO: { kind: "unavailable", message: "the platform's disk does not work" },
  EMFILE: { kind: "unavailable", message: "the platform has no file descriptor left" },
  ENFILE: { kind: "unavailable", message: "the machine has no file descriptor left" },
  ENOMEM: { kind: "unavailable", message: "the machine has no memory left" },
};

/** Primary result codes of SQLite. @see https://www.sqlite.org/rescode.html */
const BY_SQLITE_CODE: Readonly<Record<number, string>> = { 7: "ENOMEM", 8: "EROFS", 10: "EIO", 13: "ENOSPC" };

/** Causes of causes that are looked at. */
const MAX_DEPTH = 5;

/** What has run out, if that is why something was thrown. */
export function shortageOf(thrown: unknown): Shortage | undefined {
  let error = thrown;
  for (let depth = 0; depth < MAX_DEPTH && typeof error === "object" && error !== null; depth++) {
    const { code, errcode, cause } = error as { code?: unknown; errcode?: unknown; cause?: unknown };
    const told = typeof errcode === "number" ? BY_SQLITE_CODE[errcode & 0xff] : code;
    if (typeof told === "string" && Object.hasOwn(BY_CODE, told)) return BY_CODE[told];
    error = cause;
  }
  return undefined;
}

export function isOutOfSpace(thrown: unknown): boolean {
  return shortageOf(thrown)?.kind === "noSpace";
}
