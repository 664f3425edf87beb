import { ERROR_HEADER } from "../../contract/error-codes.ts";
import { FaasError, kindOfStatus } from "../../contract/errors.ts";

/** A failure that the gateway answered with. */
export class GatewayError extends FaasError {
  /** One of `docs/errors.md`, or one that a newer gateway has; undefined when the answer has none, as of OpenFaaS. */
  readonly answeredCode: string | undefined;

  constructor(status: number, answeredCode: string | undefined, message: string) {
    super(kindOfStatus(status), message);
    this.answeredCode = answeredCode;
  }
}

const CODE = /^[a-z][a-z_]{0,63}$/;

/** What an answer with these headers says of its cause. */
export function answeredCode(headers: Readonly<Record<string, string | readonly string[] | undefined>>) {
  const given = headers[ERROR_HEADER];
  return typeof given === "string" && CODE.test(given) ? given : undefined;
}
