import { z } from "zod";
import { listProblems } from "../clip.ts";
import { decode, maybe } from "../decode.ts";
import { FaasError } from "../errors.ts";
import { type FunctionRoute, givenRoutes, normalizeRoutes } from "./route.ts";

const listedRoute = z.object({
  /** Name of the function. */
  function: z.string(),
  namespace: z.string(),
  host: maybe(z.string()),
  path: z.string(),
  exact: maybe(z.boolean()),
  methods: maybe(z.array(z.string())),
  headers: maybe(z.record(z.string(), z.string())),
  version: maybe(z.string()),
  rewrite: maybe(z.string()),
  keepPath: maybe(z.boolean()),
  certificate: maybe(z.string()),
  issuer: maybe(z.string()),
  /** What it comes from where that is not the function's annotation: `FunctionIngress NAME`. */
  source: maybe(z.string()),
});
const listedRoutes = z.array(listedRoute);
/** One of `GET /system/routes`. */
export type ListedRoute = z.output<typeof listedRoute>;

/** @throws {FaasError} `invalid` */
export function decodeListedRoutes(value: unknown): ListedRoute[] {
  return decode(listedRoutes, value, "routes");
}

const routesRequest = z.object({ function: z.string().min(1), namespace: maybe(z.string()), routes: givenRoutes });

export interface RoutesRequest {
  readonly function: string;
  readonly namespace?: string | undefined;
  /** All that the function has from then on. */
  readonly routes: readonly FunctionRoute[];
}

/** Body of `PUT /system/routes`. @throws {FaasError} `invalid`, naming route, field and rule */
export function decodeRoutesRequest(value: unknown): RoutesRequest {
  const { routes: given, ...ref } = decode(routesRequest, value, "failed to unmarshal request");
  const { routes, problems } = normalizeRoutes(given);
  if (problems.length > 0) throw new FaasError("invalid", `routes: ${listProblems(problems)}`);
  return { ...ref, routes };
}

const removeRoutesRequest = z.object({ function: z.string().min(1), namespace: maybe(z.string()) });

/** Body of `DELETE /system/routes`. @throws {FaasError} `invalid` */
export function decodeRemoveRoutesRequest(value: unknown): z.output<typeof removeRoutesRequest> {
  return decode(removeRoutesRequest, value, "failed to unmarshal request");
}
