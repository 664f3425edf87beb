import type { Logger } from "../../kit/log.ts";
import type { Backend } from "../backends/backend.ts";

/** The backend with versions kept of its functions, where it has a place for them. */
export function withVersions(backend: Backend, _log: Logger): Backend {
  return backend;
}
