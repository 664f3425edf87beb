import { FaasError } from "../../../../../contract/errors.ts";
import type { Instruction } from "./parse.ts";

const HINT =
  "a Dockerfile alone cannot be built here unless it is a base image, copies and installs that are known; " +
  'add a faaslane.json such as { "requires": ["python3"], "env": { "mode": "http", "fprocess": "python3 index.py", "upstream_url": "http://127.0.0.1:0" } }';

/** @throws {FaasError} `invalid`, naming the line and what to add */
export function refuse({ line }: Pick<Instruction, "line">, why: string): never {
  throw new FaasError("invalid", `Dockerfile, line ${line}: ${why}; ${HINT}`);
}

/** @throws {FaasError} `invalid`, for what no line alone is to blame for */
export function refuseSteps(why: string): never {
  throw new FaasError("invalid", `Dockerfile: ${why}; ${HINT}`);
}
