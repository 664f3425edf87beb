import { basicAuthHeader } from "../../kit/basic-auth.ts";
import type { Env } from "../../kit/env.ts";

/** What the tests are told by `CONFORMANCE_…`; see the README beside. */
export interface Settings {
  /** The gateway to ask, without user and password; undefined where the tests start one of their own. */
  readonly url: URL | undefined;
  readonly authorization: string | undefined;
  /** Base of the listener with `/metrics`; undefined where it cannot be reached. */
  readonly metricsUrl: string | undefined;
  /** Of a function as `test/support/reflect.mjs`; undefined where it has to be built, or there is none. */
  readonly reflectImage: string | undefined;
  /** Of a function that answers with the body it gets. */
  readonly echo: { readonly image: string; readonly envProcess?: string } | undefined;
  /** Whether the gateway waits 3 s for functions, as one test needs. */
  readonly waitsThreeSeconds: boolean;
  /** This machine, as the gateway reaches it for callbacks; undefined where it does not. */
  readonly callbackHost: string | undefined;
  /** What requests say as Host. */
  readonly host: string;
  readonly namespace: string;
}

const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;

/** @throws for a URL that is none, or has a path: requests are compared byte for byte, and name the path from its root */
export function readSettings(env: Env): Settings {
  const given = env.CONFORMANCE_URL;
  const namespace = env.CONFORMANCE_NAMESPACE || "openfaas-fn";
  if (!given) return { ...OWN, namespace };
  const url = new URL(given);
  if (url.pathname !== "/") throw new Error("CONFORMANCE_URL: must have no path");
  const user = env.CONFORMANCE_USER || decodeURIComponent(url.username) || "admin";
  const password = env.CONFORMANCE_PASSWORD || decodeURIComponent(url.password);
  url.username = "";
  url.password = "";
  return {
    url,
    authorization: password ? basicAuthHeader({ user, password }) : undefined,
    metricsUrl: env.CONFORMANCE_METRICS_URL?.replace(/\/$/, "") || undefined,
    reflectImage: env.CONFORMANCE_REFLECT_IMAGE || undefined,
    echo: env.CONFORMANCE_ECHO_IMAGE ? { image: env.CONFORMANCE_ECHO_IMAGE } : undefined,
    waitsThreeSeconds: /^3(s|000ms)?$/.test(env.CONFORMANCE_UPSTREAM_TIMEOUT ?? ""),
    callbackHost: env.CONFORMANCE_CALLBACK_HOST || (LOOPBACK.test(url.hostname) ? url.hostname : undefined),
    host: url.host,
    namespace,
  };
}

const OWN: Omit<Settings, "namespace"> = {
  url: undefined,
  authorization: undefined,
  metricsUrl: undefined,
  reflectImage: undefined,
  echo: undefined,
  waitsThreeSeconds: true,
  callbackHost: "127.0.0.1",
  host: "gw.test",
};

export const settings: Settings = readSettings(process.env);
