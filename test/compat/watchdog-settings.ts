import { expect } from "@jest/globals";
import { ABSENT, type BodyFacts, type HeaderFacts, type Row, request, TEXT } from "../conformance/facts.ts";

/** A watchdog under some settings: its answers, or how it ends by itself. */
export interface Setting {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly rows: readonly Row[];
  /** Lines about its calls, in their order. */
  readonly log?: readonly (string | RegExp)[];
  /** The row is asked while another call of the same kind is under way. */
  readonly isBusy?: true;
  /** The function never becomes ready. */
  readonly isUnready?: true;
  /** Exit code; it serves nothing. */
  readonly ends?: number;
}

export const DONE: HeaderFacts = { "x-duration-seconds": /^\d+\.\d{6}$/ };
const ANSWERED_BY_US: HeaderFacts = { "x-openfaas-internal": "of-watchdog" };
const UNTYPED: HeaderFacts = { "content-type": ABSENT };
export const HTML: HeaderFacts = { "content-type": "text/html; charset=utf-8" };
export const OCTETS: HeaderFacts = { "content-type": "application/octet-stream" };

export const post = (path = "/", head: readonly string[] = [], body = "hello") => request(`POST ${path}`, head, body);
export const get = (path: string, ...head: string[]) => request(`GET ${path}`, head);
const postText = post("/", ["Content-Type: text/plain"]);
const HEALTH: Row = ["health", get("/_/health"), 200, TEXT, "OK"];

/** The variables that tell a process of its request. */
export const variables =
  (...expected: string[]): BodyFacts =>
  (body: string) =>
    expect(
      body
        .split("\n")
        .filter((line) => line.startsWith("Http_"))
        .sort(),
    ).toEqual([...expected].sort());

const FORKING = "Forking fprocess.";
const wrote = (count: number | string) => new RegExp(`^Wrote ${count} Bytes - Duration: \\d+\\.\\d{6}s$`);

const TOO_MANY = [
  429,
  { "content-type": "text/plain", "x-openfaas-internal": "faas-middleware" },
  "Concurrent request limit exceeded. Max concurrent requests: 1\n",
] as const;

/** One process a call, its whole output the answer: OpenFaaS's first watchdog. */
const CLASSIC: readonly Setting[] = [
  {
    name: "cat",
    env: { fprocess: "cat" },
    rows: [
      ["post text", postText, 200, { ...DONE, "content-type": "text/plain" }, "hello"],
      ["no content type", post(), 200, { ...DONE, ...TEXT }, "hello"],
      ["get", get("/"), 200, { ...DONE, ...UNTYPED }, ""],
      ["put", request("PUT /", [], "hello"), 200, { ...DONE, ...TEXT }, "hello"],
      ["head", request("HEAD /"), 405, {}, ""],
      [
        "chunked",
        `${request("POST /", ["Transfer-Encoding: chunked"])}5\r\nhello\r\n0\r\n\r\n`,
        200,
        { ...DONE, ...TEXT },
        "hello",
      ],
      HEALTH,
      // Of ours alone: providers ask there for more than health.
      ["health, where to ask for readiness", get("/_/health"), 200, { "x-faaslane-ready-path": "/_/ready" }],
      ["health post", post("/_/health"), 405, {}, ""],
      ["ready", get("/_/ready"), 200, { "x-duration-seconds": ABSENT }, ""],
    ],
    log: [5, 5, 0, 5, 5].flatMap((count) => [FORKING, wrote(count)]),
  },
  {
    name: "env",
    env: { fprocess: "env", some: "thing" },
    rows: [
      [
        "post with headers, path, query",
        post("/a/b%2Fc?x=1&y=%20z", [
          ...["Content-Type: text/plain", "X-Custom-Header: v1", "X-Custom-Header: v2"],
          ...["Authorization: Bearer t", "X-Call-Id: id-1", "X_Under: u"],
        ]),
        200,
        { ...DONE, "content-type": "text/plain" },
        variables(
          ...["Http_Method=POST", "Http_Path=/a/b/c", "Http_Query=x=1&y=%20z", "Http_Host=gw.test"],
          ...["Http_ContentLength=5", "Http_Content_Length=5", "Http_Content_Type=text/plain"],
          ...["Http_X_Custom_Header=v1", "Http_Authorization=Bearer t", "Http_X_Call_Id=id-1", "Http_X_under=u"],
        ),
      ],
      [
        "get",
        get("/"),
        200,
        { ...DONE, ...TEXT },
        variables(
          "Http_Method=GET",
          "Http_Path=/",
          "Http_Host=gw.test",
          "Http_ContentLength=0",
          "Http_Content_Length=0",
        ),
      ],
    ],
    log: [FORKING, wrote("\\d+"), FORKING, wrote("\\d+")],
  },
  {
    name: "content_type set",
    env: { fprocess: "cat", content_type: "application/json" },
    rows: [
      [
        "post text",
        post("/", ["Content-Type: text/plain"], "{}"),
        200,
        { ...DONE, "content-type": "application/json" },
        "{}",
      ],
    ],
    log: [FORKING, wrote(2)],
  },
  {
    name: "exit 1 with both outputs",
    env: { fprocess: "both-exit-1" },
    rows: [["post", post(), 500, { ...TEXT, "x-duration-seconds": ABSENT }, "exit status 1\nout\nerr\n"]],
    log: [FORKING],
  },
  {
    name: "exit 0 with both outputs",
    env: { fprocess: "both-exit-0" },
    rows: [["post", post(), 200, { ...DONE, ...TEXT }, "out\nerr\n"]],
    log: [FORKING, wrote(8)],
  },
  {
    name: "the same, combine_output=false",
    env: { fprocess: "both-exit-0", combine_output: "false" },
    rows: [["post", post(), 200, { ...DONE, ...TEXT }, "out\n"]],
    log: [FORKING, "stderr: err", wrote(4)],
  },
  {
    name: "exec_timeout, sleeps",
    env: { fprocess: "sleep 3", exec_timeout: "300ms" },
    rows: [["post", post(), 408, { ...TEXT, ...ANSWERED_BY_US }, "Killed process.\n"]],
    log: [FORKING, "Killing process: sleep 3"],
  },
  {
    name: "fprocess missing program",
    env: { fprocess: "no-such-program" },
    rows: [
      [
        "post",
        post(),
        500,
        { ...TEXT, ...ANSWERED_BY_US },
        'exec: "no-such-program": executable file not found in $PATH\n',
      ],
    ],
    log: [FORKING],
  },
  {
    name: "marshal_request",
    env: { fprocess: "cat", marshal_request: "true" },
    rows: [
      [
        "post",
        post("/p?q=1", ["Content-Type: text/plain"]),
        200,
        { ...DONE, "content-type": "text/plain" },
        { header: { "Content-Length": ["5"], "Content-Type": ["text/plain"] }, body: { raw: "aGVsbG8=" } },
      ],
    ],
    log: [FORKING, wrote("\\d+")],
  },
  {
    name: "cgi_headers=false",
    env: { fprocess: "env", cgi_headers: "false" },
    rows: [["post", post("/p?q=1", ["X-A: 1"], "x"), 200, { ...DONE, ...TEXT }, variables()]],
  },
  {
    name: "suppress_lock",
    env: { fprocess: "cat", suppress_lock: "true" },
    rows: [
      ["health", get("/_/health"), 503, {}, ""],
      ["post", post(), 200, { ...DONE, ...TEXT }, "hello"],
    ],
  },
  {
    name: "max_inflight=1, two at once",
    env: { fprocess: "sleep 1", max_inflight: "1" },
    rows: [["second while first runs", post(), ...TOO_MANY]],
    isBusy: true,
  },
  { name: "no fprocess", env: {}, rows: [], ends: 2 },
];

export const HTTP = { mode: "http", fprocess: "reflect" };
const REFLECTED: HeaderFacts = {
  ...DONE,
  "content-type": "application/json",
  "set-cookie": "a=b",
  "x-multi": ["one", "two"],
};
export const seen = (facts: object = {}) => ({ method: "GET", requestURI: "/", body: "", host: "gw.test", ...facts });
const plain = { ...DONE, ...TEXT };

/** A function that is a server of its own, behind OpenFaaS's second watchdog. */
const PROXYING: readonly Setting[] = [
  {
    name: "http to reflect",
    env: HTTP,
    rows: [
      [
        "post with headers, path, query",
        post("/a/b%2Fc?x=1&y=%20z", [
          ...["Content-Type: text/plain", "X-Custom-Header: v1", "X-Call-Id: id-1"],
          ...["Connection: close, X-Secret", "X-Secret: 1"],
        ]),
        200,
        REFLECTED,
        seen({
          method: "POST",
          requestURI: "/a/b%2Fc?x=1&y=%20z",
          body: "hello",
          contentLength: 5,
          headers: {
            "Content-Type": ["text/plain"],
            "X-Custom-Header": ["v1"],
            "X-Call-Id": ["id-1"],
            "X-Secret": ABSENT,
          },
        }),
      ],
      ["get", get("/"), 200, REFLECTED, seen()],
      ["status 500", get("/?status=500"), 500, REFLECTED, seen({ requestURI: "/?status=500" })],
      ["status 204", get("/?status=204"), 204, REFLECTED, ""],
      ["redirect", get("/?status=301"), 301, REFLECTED, seen({ requestURI: "/?status=301" })],
      ["child hangs up", get("/?hang=1"), 500, { ...DONE, ...ANSWERED_BY_US }, ""],
      ["child cuts", get("/?abort=1"), 200, { ...plain, "content-length": "100" }, "half"],
      ["trailers", get("/?trailer=1"), 200, { ...plain, trailer: "X-Trailer" }, "body"],
      ["chunks", get("/?chunks=1"), 200, plain, "part 0\npart 1\npart 2\n"],
      [
        "event stream",
        get("/?sse=1", "Accept: text/event-stream"),
        200,
        { "content-type": "text/event-stream", "x-duration-seconds": ABSENT },
        "data: 0\n\ndata: 1\n\ndata: 2\n\n",
      ],
      ["no content type", get("/?noct=1"), 200, { ...REFLECTED, ...UNTYPED }, seen({ requestURI: "/?noct=1" })],
      HEALTH,
      ["ready", get("/_/ready"), 200, {}, ""],
    ],
  },
  {
    name: "http, exec_timeout, sleeps",
    env: { ...HTTP, exec_timeout: "300ms" },
    rows: [["get", get("/?sleep=3s"), 504, { ...DONE, ...ANSWERED_BY_US }, ""]],
  },
  {
    name: "http, max_inflight=1",
    env: { ...HTTP, max_inflight: "1" },
    rows: [["second while first runs", get("/?sleep=1s"), ...TOO_MANY]],
    isBusy: true,
  },
  {
    name: "http, ready_path",
    env: { ...HTTP, ready_path: "/r" },
    rows: [["ready", get("/_/ready"), 200, REFLECTED, seen({ requestURI: "/r" })], HEALTH],
  },
  {
    name: "http, child never listens",
    env: { mode: "http", fprocess: "sleep 30" },
    rows: [["get", get("/"), 500, { ...DONE, ...ANSWERED_BY_US }, ""], HEALTH],
    isUnready: true,
  },
  { name: "http, child exits 1", env: { mode: "http", fprocess: "false" }, rows: [], ends: 1 },
  { name: "http, no upstream_url", env: { mode: "http", fprocess: "cat", upstream_url: "" }, rows: [], ends: 1 },
];

/** One process a call behind the second watchdog. */
const FORKED: readonly Setting[] = [
  {
    name: "streaming cat",
    env: { mode: "streaming", fprocess: "cat" },
    rows: [
      ["post", postText, 200, { ...OCTETS, "x-duration-seconds": ABSENT }, "hello"],
      ["get", get("/"), 200, OCTETS, ""],
      HEALTH,
    ],
  },
  {
    name: "streaming env",
    env: { mode: "streaming", fprocess: "env" },
    rows: [
      [
        "post with headers, path, query",
        post("/a?x=1", ["Content-Type: text/plain", "X-Custom-Header: v1"]),
        200,
        OCTETS,
        variables(
          ...["Http_Method=POST", "Http_Path=/a", "Http_Query=x=1", "Http_Content_Length=5"],
          ...["Http_Content_Type=text/plain", "Http_X_Custom_Header=v1"],
        ),
      ],
    ],
  },
  {
    name: "streaming exit 1",
    env: { mode: "streaming", fprocess: "both-exit-1" },
    rows: [["post", post(), 200, OCTETS, "out\n"]],
  },
  {
    name: "streaming, exec_timeout, sleeps",
    env: { mode: "streaming", fprocess: "sleep 3", exec_timeout: "300ms" },
    rows: [["post", post(), 504, {}]],
  },
  {
    name: "serializing cat",
    env: { mode: "serializing", fprocess: "cat" },
    rows: [["post", postText, 200, { ...DONE, ...OCTETS }, "hello"]],
  },
  {
    name: "serializing exit 1",
    env: { mode: "serializing", fprocess: "both-exit-1" },
    rows: [["post", post(), 500, { ...DONE, ...OCTETS }, "exit status 1"]],
  },
  {
    name: "serializing, exec_timeout, sleeps",
    env: { mode: "serializing", fprocess: "sleep 3", exec_timeout: "300ms" },
    rows: [["post", post(), 500, { ...DONE, ...OCTETS, ...ANSWERED_BY_US }, "signal: killed"]],
  },
  {
    name: "static",
    env: { mode: "static", static_path: "licenses" },
    rows: [
      ["file", get("/BSD"), 200, { ...TEXT, "accept-ranges": "bytes", "last-modified": / GMT$/ }, /^Copyright \(c\)/],
      ["missing", get("/none"), 404, { ...TEXT, "x-content-type-options": "nosniff" }, "404 page not found\n"],
      [
        "traversal",
        get("/../../../etc/hostname"),
        301,
        { ...HTML, location: "/etc/hostname" },
        '<a href="/etc/hostname">Moved Permanently</a>.\n\n',
      ],
      [
        "directory",
        get("/"),
        200,
        { ...HTML, "last-modified": / GMT$/ },
        /^<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n(.*\n)*<a href="BSD">BSD<\/a>\n/,
      ],
    ],
  },
  { name: "unknown mode", env: { mode: "nonsense", fprocess: "cat" }, rows: [], ends: 2 },
];

export const named = (settings: readonly Setting[], watchdog: string): readonly Setting[] =>
  settings.map(({ name, rows, ...rest }) => ({
    ...rest,
    name: `${watchdog}, ${name}`,
    rows: rows.map(([row, ...facts]): Row => [`${watchdog}, ${name}: ${row}`, ...facts]),
  }));

/** By the names of their settings, those of each row under its setting's. */
export const SETTINGS: readonly Setting[] = [
  ...named(CLASSIC, "classic").map((setting) => ({ ...setting, env: { mode: "classic", ...setting.env } })),
  ...named([...PROXYING, ...FORKED], "of"),
];
