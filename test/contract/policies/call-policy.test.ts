import { expect, test } from "@jest/globals";
import { type CallPolicy, parseCallPolicy } from "../../../contract/policies/call-policy.ts";

type Strings = Record<string, string>;

/** Annotations by what follows `com.faaslane.`. */
const annotated = (settings: Strings): Strings =>
  Object.fromEntries(Object.entries(settings).map(([name, value]) => [`com.faaslane.${name}`, value]));

const basic = { kind: "basic", secret: "users", forward: false } as const;
const jwt = {
  kind: "jwt",
  issuer: "https://id.test/",
  audiences: ["api"],
  algorithms: ["RS256", "ES256", "EdDSA"],
  keys: { kind: "url", url: "https://id.test/keys" },
  header: "authorization",
  skewMs: 30_000,
  forward: false,
} as const;
const jwtSettings = {
  auth: "jwt",
  "auth.issuer": "https://id.test/",
  "auth.audience": "api",
  "auth.jwks-url": "https://id.test/keys",
};

test.each<[settings: Strings, policy: CallPolicy | undefined]>([
  [{}, undefined],
  [{ "queue.size": "5" }, undefined],
  [{ auth: "none" }, undefined],
  [{ auth: "none", "auth.secret": "kept-for-later" }, undefined],
  [
    { "limits.max-request-bytes": "1Mi", "limits.max-answer-bytes": "500k" },
    { maxRequestBytes: 1024 ** 2, maxAnswerBytes: 500_000 },
  ],
  [{ "rate-limit": "100/s" }, { rateLimit: { calls: 100, periodMs: 1000, burst: 100, by: "client" } }],
  [
    { "rate-limit": " 10 / m ; burst = 20 ; by = all " },
    { rateLimit: { calls: 10, periodMs: 60_000, burst: 20, by: "all" } },
  ],
  [{ "rate-limit": "5/10s;burst=1" }, { rateLimit: { calls: 5, periodMs: 10_000, burst: 1, by: "client" } }],
  [
    { auth: "basic", "auth.secret": "users", "rate-limit": "1/h;by=identity" },
    { auth: basic, rateLimit: { calls: 1, periodMs: 3_600_000, burst: 1, by: "identity" } },
  ],
  [
    { auth: "key", "auth.secret": "keys", "auth.header": "X-Token", "auth.forward": "true" },
    { auth: { kind: "key", secret: "keys", header: "x-token", forward: true } },
  ],
  [jwtSettings, { auth: jwt }],
  [
    {
      auth: "jwt",
      "auth.issuer": "i",
      "auth.audience": "a, b",
      "auth.secret": "s",
      "auth.algorithms": "HS256",
      "auth.skew": "1m",
    },
    {
      auth: {
        ...jwt,
        issuer: "i",
        audiences: ["a", "b"],
        algorithms: ["HS256"],
        keys: { kind: "secret", name: "s" },
        skewMs: 60_000,
      },
    },
  ],
  [
    { auth: "hmac", "auth.secret": "hook" },
    {
      auth: { kind: "hmac", secret: "hook", format: "body", header: "x-hub-signature-256", toleranceMs: 300_000 },
      maxRequestBytes: 1024 ** 2,
    },
  ],
  [
    { auth: "hmac", "auth.secret": "hook", "auth.format": "timestamped", "auth.tolerance": "10s" },
    {
      auth: {
        kind: "hmac",
        secret: "hook",
        format: "timestamped",
        header: "x-faaslane-signature",
        toleranceMs: 10_000,
      },
      maxRequestBytes: 1024 ** 2,
    },
  ],
  [
    { "cors.allow-origins": "*" },
    { cors: { origins: "*", methods: ["GET", "HEAD", "POST"], headers: [], exposed: [], credentials: false } },
  ],
  [
    {
      "cors.allow-origins": "https://App.test:443, https://*.app.test, app://shell",
      "cors.allow-methods": "*",
      "cors.allow-headers": "X-A, content-type",
      "cors.expose-headers": "X-Call-Id",
      "cors.allow-credentials": "true",
      "cors.max-age": "10m",
    },
    {
      cors: {
        origins: [
          { start: "https://app.test", end: "", subdomains: false },
          { start: "https://", end: ".app.test", subdomains: true },
          { start: "app://shell", end: "", subdomains: false },
        ],
        methods: "*",
        headers: ["x-a", "content-type"],
        exposed: ["X-Call-Id"],
        credentials: true,
        maxAgeSeconds: 600,
      },
    },
  ],
])("%j is read", (settings, policy) => {
  expect(parseCallPolicy(annotated(settings))).toEqual({ ...(policy && { policy }), problems: [] });
});

test.each<[settings: Strings, field: string, rule: string]>([
  [{ auth: "nonee" }, "auth", "must be one of none, basic, key, jwt, hmac"],
  [{ auth: "" }, "auth", "must be one of"],
  [{ auth: "basic" }, "auth.secret", "is required"],
  [{ auth: "basic", "auth.secret": "../x" }, "auth.secret", "must be the name of a secret"],
  [{ auth: "basic", "auth.secret": "x", "auth.header": "x-a" }, "auth.header", "is not for com.faaslane.auth: basic"],
  [{ "auth.secret": "x" }, "auth.secret", "means nothing without com.faaslane.auth"],
  [{ authentication: "basic" }, "authentication", "there is no such setting"],
  [{ Auth: "basic" }, "Auth", "there is no such setting"],
  [{ auth: "key", "auth.secret": "x", "auth.header": "Host" }, "auth.header", "must be the name of a header"],
  [{ auth: "key", "auth.secret": "x", "auth.header": "a b" }, "auth.header", "must be the name of a header"],
  [{ auth: "key", "auth.secret": "x", "auth.forward": "yes" }, "auth.forward", "must be true or false"],
  [{ auth: "jwt", "auth.issuer": "i", "auth.audience": "a" }, "auth", "jwt needs com.faaslane.auth.jwks-url or"],
  [{ ...jwtSettings, "auth.secret": "s" }, "auth", "not both of them"],
  [{ ...jwtSettings, "auth.issuer": "" }, "auth.issuer", "must be what tokens have as iss"],
  [{ ...jwtSettings, "auth.algorithms": "none" }, "auth.algorithms", "must be some of"],
  [{ ...jwtSettings, "auth.algorithms": "HS256,RS256" }, "auth.algorithms", "HS256 only alone"],
  [{ ...jwtSettings, "auth.algorithms": "HS256" }, "auth.algorithms", "is for a shared secret"],
  [{ ...jwtSettings, "auth.jwks-url": "file:///etc/passwd" }, "auth.jwks-url", "must be an http or https URL"],
  [{ ...jwtSettings, "auth.jwks-url": "https://u:p@id.test/" }, "auth.jwks-url", "without user and fragment"],
  [{ ...jwtSettings, "auth.skew": "1h" }, "auth.skew", "at most 5m"],
  [{ auth: "hmac", "auth.secret": "x", "auth.format": "sha1" }, "auth.format", "must be one of body, timestamped"],
  [{ "cors.allow-origins": "*", "cors.allow-credentials": "true" }, "cors.allow-origins", "must name the origins"],
  [{ "cors.allow-methods": "GET" }, "cors.allow-origins", "is required"],
  [{ "cors.allow-origins": "https://*" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [{ "cors.allow-origins": "https://*.com" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [{ "cors.allow-origins": "https://a.test/" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [{ "cors.allow-origins": "a.test" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [{ "cors.allow-origins": "null" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [{ "cors.allow-origins": "https://a.test,*" }, "cors.allow-origins", "must be * or at most 100 origins"],
  [
    { "cors.allow-origins": "*", "cors.allow-methods": "get" },
    "cors.allow-methods",
    "must be * or at most 100 methods",
  ],
  [{ "cors.allow-origins": "*", "cors.allow-headers": "a\r\nb" }, "cors.allow-headers", "must be * or at most 100"],
  [
    { "cors.allow-origins": "https://a.test", "cors.allow-credentials": "true", "cors.expose-headers": "*" },
    "cors.expose-headers",
    "must name the headers",
  ],
  [{ "cors.allow-origins": "*", "cors.max-age": "25h" }, "cors.max-age", "at most 24h"],
  [{ "cors.allow-origin": "*" }, "cors.allow-origin", "there is no such setting"],
  [{ cors: "*" }, "cors", "there is no such setting"],
  [{ "limits.max-request-bytes": "0" }, "limits.max-request-bytes", "must be a size"],
  [{ "limits.max-request-bytes": "1MB" }, "limits.max-request-bytes", "must be a size"],
  [
    { auth: "hmac", "auth.secret": "s", "limits.max-request-bytes": "33Mi" },
    "limits.max-request-bytes",
    "at most 32Mi",
  ],
  [{ "limits.max-body": "1" }, "limits.max-body", "there is no such setting"],
  [{ "rate-limit": "fast" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "0/s" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "1/s; burst=0" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "1/s; burst=1; burst=2" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "1/s; per=client" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "1/25h" }, "rate-limit", "must be a rate"],
  [{ "rate-limit": "1/s; by=identity" }, "rate-limit", "for by=identity"],
  [{ ratelimit: "1/s" }, "ratelimit", "there is no such setting"],
  [{ "rate-limit": "1".repeat(10_000) }, "rate-limit", "must be a rate"],
])("%j is refused, with its field and rule", (settings, field, rule) => {
  const { problems } = parseCallPolicy(annotated(settings));
  expect(problems.length).toBeGreaterThan(0);
  expect(problems.find((problem) => problem.startsWith(`annotations.com.faaslane.${field}: `))).toContain(rule);
});
