import type { Fields } from "./types.ts";

/** What is wrong with one field, as `status.details.causes` lists it. */
export interface FieldProblem {
  readonly reason: string;
  readonly message: string;
  readonly field: string;
}

/** What an error is about, as the messages name it. */
export interface Subject {
  readonly group: string;
  /** Plural, as in the URL. */
  readonly plural: string;
  readonly kind: string;
}

export interface StatusDetails {
  readonly name?: string | undefined;
  readonly group?: string | undefined;
  readonly kind?: string | undefined;
  readonly uid?: string | undefined;
  readonly causes?: readonly FieldProblem[] | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** A refusal, which becomes a `Status` body. */
export class ApiError extends Error {
  override readonly name = "ApiError";
  readonly code: number;
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** Of the list that an expired continue token may be resumed with. */
  readonly continueToken: string | undefined;

  constructor(code: number, reason: string, message: string, details?: StatusDetails, continueToken?: string) {
    super(message);
    this.code = code;
    this.reason = reason;
    this.details = details;
    this.continueToken = continueToken;
  }

  toStatus(): Fields {
    return {
      kind: "Status",
      apiVersion: "v1",
      metadata: this.continueToken === undefined ? {} : { continue: this.continueToken },
      status: "Failure",
      message: this.message,
      ...(this.reason !== "" && { reason: this.reason }),
      ...(this.details !== undefined && { details: withoutEmpty(this.details) }),
      code: this.code,
    };
  }
}

function withoutEmpty(details: StatusDetails): Fields {
  return Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined && value !== ""));
}

/** `deployments.apps`, or `pods` in the core group. */
export function qualified({ group, plural }: Subject): string {
  return group === "" ? plural : `${plural}.${group}`;
}

function about({ group, plural }: Subject, name: string): StatusDetails {
  return { name, group, kind: plural };
}

export function notFound(subject: Subject, name: string): ApiError {
  return new ApiError(404, "NotFound", `${qualified(subject)} "${name}" not found`, about(subject, name));
}

export function alreadyExists(subject: Subject, name: string): ApiError {
  return new ApiError(409, "AlreadyExists", `${qualified(subject)} "${name}" already exists`, about(subject, name));
}

export function conflict(subject: Subject, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${qualified(subject)} "${name}": ${why}`;
  return new ApiError(409, "Conflict", message, about(subject, name));
}

export const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

export function forbidden(subject: Subject, name: string, why: string): ApiError {
  return new ApiError(403, "Forbidden", `${qualified(subject)} "${name}" is forbidden: ${why}`, about(subject, name));
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, "BadRequest", message);
}

export function invalid({ group, kind }: Subject, name: string, problems: readonly FieldProblem[]): ApiError {
  const subject = group === "" ? kind : `${kind}.${group}`;
  const texts = problems.map(({ field, message }) => `${field}: ${message}`);
  const listed = texts.length === 1 ? texts[0] : `[${texts.join(", ")}]`;
  const message = `${subject} "${name}" is invalid: ${listed}`;
  return new ApiError(422, "Invalid", message, { name, group, kind, causes: problems });
}

export function expired(message: string, continueToken?: string): ApiError {
  return new ApiError(410, "Expired", message, undefined, continueToken);
}

export function methodNotAllowed(): ApiError {
  return new ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {});
}

export function noSuchResource(): ApiError {
  return new ApiError(404, "NotFound", "the server could not find the requested resource", {});
}
