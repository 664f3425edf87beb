import { expect } from "@jest/globals";
import { ABSENT, type HeaderFacts, NO_ROUTE, type Row, request, TEXT } from "./facts.ts";
import { settings } from "./settings.ts";

/*
 * Calls of functions through a gateway. The function `reflect` answers with what it received: see
 * `test/support/reflect.mjs`. Its gateway has `upstream_timeout=3s`.
 */

/** What the gateway adds to the answers of functions. */
const CALL: HeaderFacts = { "x-call-id": /^[\w-]+$/, "x-start-time": /^\d{19}$/, "x-served-by": /^[\w-]+\// };
/** What it adds, and what `reflect` sends. */
const REFLECTED: HeaderFacts = {
  ...CALL,
  "content-type": "application/json",
  "set-cookie": "a=b",
  "x-multi": ["one", "two"],
};

type Seen = Partial<Record<"method" | "requestURI" | "body", string>> & { headers?: object };

/** What the function received. */
const seen = ({ headers, ...rest }: Seen = {}) => ({
  method: "GET",
  requestURI: "/",
  body: "",
  ...rest,
  headers: {
    "X-Call-Id": [expect.stringMatching(/^[\w-]+$/)],
    "X-Start-Time": [expect.stringMatching(/^\d{19}$/)],
    "X-Forwarded-Host": [settings.host],
    "User-Agent": [expect.stringMatching(/./)],
    ...headers,
  },
});

const get = (path: string, ...head: string[]) => request(`GET ${path}`, head);
const movedTo = (location: string) => [301, { location }, ""] as const;
const notFound = (name: string) => [404, TEXT, new RegExp(`^error finding function ${name}\\b`)] as const;
const passedOn = (name: string, sent: string, received: string): Row => [
  name,
  get(`/function/reflect${sent}`),
  200,
  REFLECTED,
  seen({ requestURI: received }),
];

const PATHS: readonly Row[] = [
  passedOn("plain GET", "", "/"),
  passedOn("query kept", "?a=1&b=%2F&c=x+y&&d", "/?a=1&b=%2F&c=x+y&&d"),
  passedOn("path and query", "/a/b?x=1", "/a/b?x=1"),
  passedOn("trailing slash", "/", "/"),
  passedOn("encoded slash", "/a%2Fb", "/a%2Fb"),
  passedOn("encoded question mark", "/a%3Fb", "/a%3Fb"),
  passedOn("encoded percent", "/a%25b", "/a%25b"),
  passedOn("encoded space", "/a%20b", "/a%20b"),
  passedOn("unicode escaped", "/%C3%A4", "/%C3%A4"),
  passedOn("with default namespace", `.${settings.namespace}`, "/"),
  ["double slash", get("/function/reflect//a"), ...movedTo("/function/reflect/a")],
  ["dot segments", get("/function/reflect/a/../b"), ...movedTo("/function/reflect/b")],
  ["single dot", get("/function/reflect/./a"), ...movedTo("/function/reflect/a")],
  ["with another namespace", get("/function/reflect.elsewhere"), ...notFound("reflect\\.elsewhere")],
  ["upper case name", get("/function/Reflect"), ...notFound("Reflect")],
  ["unknown function", get("/function/nope"), ...notFound("nope")],
  ["name with a bad character", get("/function/no$pe"), ...NO_ROUTE],
  ["no name", get("/function/"), ...NO_ROUTE],
  ["no name, no slash", get("/function"), ...NO_ROUTE],
];

const METHODS: readonly Row[] = [
  ["method HEAD", request("HEAD /function/reflect"), 200, REFLECTED, ""],
  ...["PUT", "PATCH", "DELETE", "OPTIONS"].map(
    (method): Row => [`method ${method}`, request(`${method} /function/reflect`), 200, REFLECTED, seen({ method })],
  ),
  ["method TRACE", request("TRACE /function/reflect"), 405, CALL, ""],
  ["method PURGE", request("PURGE /function/reflect"), 405, CALL, ""],
  ["method CONNECT", request("CONNECT /function/reflect"), 405, { "x-call-id": ABSENT }, ""],
];

const BODIES: readonly Row[] = [
  [
    "POST with text",
    request("POST /function/reflect", ["Content-Type: text/plain"], "hello"),
    200,
    REFLECTED,
    seen({ method: "POST", body: "hello", headers: { "Content-Type": ["text/plain"] } }),
  ],
  [
    "chunked POST",
    `${request("POST /function/reflect", ["Transfer-Encoding: chunked"])}5\r\nhello\r\n0\r\n\r\n`,
    200,
    REFLECTED,
    seen({ method: "POST", body: "hello" }),
  ],
  [
    "expect 100-continue",
    request("POST /function/reflect", ["Expect: 100-continue"], "hi"),
    200,
    REFLECTED,
    seen({ method: "POST", body: "hi" }),
  ],
];

const withHeaders = (name: string, head: readonly string[], headers: object): Row => [
  name,
  request("GET /function/reflect", head),
  200,
  REFLECTED,
  seen({ headers }),
];

/** Address of this machine, as a pattern. */
const CALLER = settings.url ? "[\\da-f.:]+" : "127\\.0\\.0\\.1";

const FORWARDING: readonly Row[] = [
  withHeaders("address of the caller", [], {
    "X-Forwarded-For": [expect.stringMatching(`^${CALLER}$`)],
  }),
  withHeaders("no user agent", [], { "User-Agent": [expect.stringMatching(/gateway\//)] }),
  [
    "own X-Call-Id",
    get("/function/reflect", "X-Call-Id: my-id-1"),
    200,
    { ...REFLECTED, "x-call-id": "my-id-1" },
    seen({ headers: { "X-Call-Id": ["my-id-1"] } }),
  ],
  withHeaders("own X-Start-Time", ["X-Start-Time: 123"], {}),
  withHeaders(
    "own X-Forwarded-For and -Host",
    ["X-Forwarded-For: 203.0.113.9", "X-Forwarded-Host: site.test", "X-Forwarded-Proto: https"],
    {
      "X-Forwarded-For": [expect.stringMatching(`^203\\.0\\.113\\.9, ${CALLER}$`)],
      "X-Forwarded-Host": ["site.test"],
      "X-Forwarded-Proto": ["https"],
    },
  ),
  withHeaders(
    "hop-by-hop headers",
    [
      ...["Connection: close, X-Secret", "X-Secret: 1", "Keep-Alive: 5"],
      ...["TE: trailers", "Proxy-Authorization: x", "Upgrade: h2c"],
    ],
    { "X-Secret": ABSENT, "Keep-Alive": ABSENT, "Proxy-Authorization": ABSENT, Upgrade: ABSENT },
  ),
  withHeaders("authorization reaches the function", ["Authorization: Bearer abc"], { Authorization: ["Bearer abc"] }),
  withHeaders("cookie reaches the function", ["Cookie: a=b; c=d"], { Cookie: ["a=b; c=d"] }),
  withHeaders(
    "websocket upgrade",
    [
      ...["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"],
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ],
    // OpenFaaS CE takes `Upgrade` away; ours lets the function answer it, which this one does as to any other request.
    { "Sec-Websocket-Version": ["13"] },
  ),
];

const plain = { ...CALL, "content-type": "text/plain; charset=utf-8" };

const ANSWERS: readonly Row[] = [
  ...[201, 301, 400, 404, 429, 500, 502, 503].map(
    (status): Row => [
      `function answers ${status}`,
      get(`/function/reflect?status=${status}`),
      status,
      REFLECTED,
      seen({ requestURI: `/?status=${status}` }),
    ],
  ),
  ["function answers 204", get("/function/reflect?status=204"), 204, REFLECTED, ""],
  ["function answers 304", get("/function/reflect?status=304"), 304, { ...CALL, "content-type": ABSENT }, ""],
  [
    "function without content type",
    get("/function/reflect?noct=1"),
    200,
    { ...REFLECTED, ...TEXT },
    seen({ requestURI: "/?noct=1" }),
  ],
  [
    "function without content type, POST text/css",
    request("POST /function/reflect?noct=1", ["Content-Type: text/css"], "x"),
    200,
    { ...REFLECTED, ...TEXT },
    seen({ method: "POST", requestURI: "/?noct=1", body: "x" }),
  ],
  ["trailers", get("/function/reflect?trailer=1"), 200, { ...plain, trailer: "X-Trailer" }, "body"],
  ["three chunks", get("/function/reflect?chunks=1"), 200, plain, "part 0\npart 1\npart 2\n"],
  [
    "event stream",
    get("/function/reflect?sse=1", "Accept: text/event-stream"),
    200,
    { ...CALL, "content-type": "text/event-stream" },
    "data: 0\n\ndata: 1\n\ndata: 2\n\n",
  ],
  ["function cuts its answer", get("/function/reflect?abort=1"), 200, { ...plain, "content-length": "100" }, "half"],
  [
    "function closes without an answer",
    get("/function/reflect?hang=1"),
    500,
    { ...CALL, ...TEXT },
    /^Can't reach service for: reflect\.\n$/,
  ],
  [
    "function slower than the upstream timeout",
    get("/function/reflect?sleep=5s"),
    504,
    { ...CALL, ...TEXT },
    /did not answer in time/,
  ],
];

const closing = { connection: "close" };

const MALFORMED: readonly Row[] = [
  [
    "large header",
    get("/function/reflect", `X-Large: ${"a".repeat(60_000)}`),
    200,
    REFLECTED,
    seen({ headers: { "X-Large": [expect.stringMatching(/^a{60000}$/)] } }),
  ],
  ["header over 1 MB", get("/function/reflect", `X-Large: ${"a".repeat(1_100_000)}`), 431, { ...TEXT, ...closing }],
  [
    "two content lengths",
    `${request("POST /function/reflect", ["Content-Length: 2", "Content-Length: 3"])}hi`,
    400,
    { ...TEXT, ...closing },
  ],
  [
    "length and chunked",
    `${request("POST /function/reflect", ["Content-Length: 4", "Transfer-Encoding: chunked"])}2\r\nhi\r\n0\r\n\r\n`,
    400,
    closing,
  ],
  ["no host", "GET /function/reflect HTTP/1.1\r\n\r\n", 400, closing, ""],
  ["bare LF", `GET /function/reflect HTTP/1.1\nHost: ${settings.host}\n\n`, 400, closing],
  ["HTTP/1.0", `GET /function/reflect HTTP/1.0\r\nHost: ${settings.host}\r\n\r\n`, 200, REFLECTED, seen()],
];

/** In the order they are asked. */
export const CALL_ROWS: readonly Row[] = [...PATHS, ...METHODS, ...BODIES, ...FORWARDING, ...ANSWERS, ...MALFORMED];
