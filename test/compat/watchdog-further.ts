import { ABSENT, request, TEXT } from "../conformance/facts.ts";
import type { Differences } from "./differences.ts";
import { DONE, get, HTML, HTTP, named, OCTETS, post, type Setting, seen, variables } from "./watchdog-settings.ts";

/*
 * Rows of the watchdogs' contract for which there is no recording: what OpenFaaS's sources and documents say.
 */

const UNSEEN = "what a client names itself must not pass for what the platform tells";

const CLASSIC: readonly Setting[] = [
  {
    name: "methods",
    env: { fprocess: "cat" },
    rows: [
      ["patch", request("PATCH /", [], "hello"), 200, { ...DONE, ...TEXT }, "hello"],
      ["delete", request("DELETE /", [], "hello"), 200, { ...DONE, ...TEXT }, "hello"],
      ["options", request("OPTIONS /"), 405, { "content-length": "0" }, ""],
      ["propfind", request("PROPFIND /"), 405, { "content-length": "0" }, ""],
    ],
  },
  {
    name: "chunked env",
    env: { fprocess: "env" },
    rows: [
      [
        "length unknown",
        `${request("POST /", ["Transfer-Encoding: chunked"])}5\r\nhello\r\n0\r\n\r\n`,
        200,
        DONE,
        variables(
          ...["Http_Method=POST", "Http_Path=/", "Http_Host=gw.test", "Http_Transfer_Encoding=chunked"],
          ...["Http_ContentLength=-1", "Http_Content_Length=-1"],
        ),
      ],
      [
        "own Query and Method",
        get("/", "Query: forged", "Method: forged"),
        200,
        DONE,
        variables(
          ...["Http_Method=GET", "Http_Path=/", "Http_Host=gw.test", "Http_ContentLength=0", "Http_Content_Length=0"],
        ),
      ],
    ],
  },
  {
    name: "two spaces in fprocess",
    env: { fprocess: "printf %s| a  'b c'" },
    rows: [["get", get("/"), 200, { ...DONE, ...TEXT }, "a||'b|c'|"]],
  },
  {
    name: "combine_output=1",
    env: { fprocess: "both-exit-0", combine_output: "1" },
    rows: [["is not true", post(), 200, { ...DONE, ...TEXT }, "out\n"]],
  },
  {
    name: "marshal_request=True",
    env: { fprocess: "cat", marshal_request: "True" },
    rows: [["is not true", post(), 200, { ...DONE, ...TEXT }, "hello"]],
  },
  {
    name: "exec_timeout=5min",
    env: { fprocess: "cat", exec_timeout: "5min", max_inflight: "many", port: "0" },
    rows: [["is overlooked", post(), 200, { ...DONE, ...TEXT }, "hello"]],
  },
];

const PREFIXED = { ...HTTP, upstream_url: "http://127.0.0.1:0/pre" };

const slept = seen({ requestURI: "/?sleep=0.01" });

const OF: readonly Setting[] = [
  {
    name: "http, methods and headers",
    env: HTTP,
    rows: [
      ["options", request("OPTIONS /"), 200, DONE, seen({ method: "OPTIONS" })],
      ["propfind", request("PROPFIND /x"), 200, DONE, seen({ method: "PROPFIND", requestURI: "/x" })],
      ["head", request("HEAD /"), 200, DONE],
      ["ready post", post("/_/ready"), 405, {}, ""],
      [
        "ndjson stream",
        get("/?sse=1", "Accept: application/x-NDJSON"),
        200,
        { "x-duration-seconds": ABSENT },
        "data: 0\n\ndata: 1\n\ndata: 2\n\n",
      ],
    ],
  },
  {
    name: "http, X-Timeout",
    env: { ...HTTP, exec_timeout: "3s" },
    rows: [
      ["shortens", get("/?sleep=2", "X-Timeout: 100ms"), 504, DONE, ""],
      ["does not lengthen", get("/?sleep=0.01", "X-Timeout: 1h"), 200, DONE, slept],
      ["must be a duration", get("/?sleep=0.01", "X-Timeout: soon"), 200, DONE, slept],
    ],
  },
  {
    name: "http, upstream path",
    env: PREFIXED,
    rows: [
      ["get", get("/a?b=c"), 200, DONE, seen({ requestURI: "/pre/a?b=c" })],
      ["stream", get("/a", "Accept: text/event-stream"), 200, {}, seen({ requestURI: "/pre/a" })],
    ],
  },
  {
    name: "http, buffered",
    env: { ...HTTP, buffer_http: "1" },
    rows: [
      [
        "chunked",
        `${request("POST /", ["Transfer-Encoding: chunked"])}5\r\nhello\r\n0\r\n\r\n`,
        200,
        DONE,
        seen({ method: "POST", body: "hello", contentLength: 5 }),
      ],
    ],
  },
  {
    name: "http, buffered and ready_path",
    env: { ...HTTP, http_buffer_req_body: "true", ready_path: "/r" },
    rows: [["ready", get("/_/ready?x=1"), 200, {}, seen({ requestURI: "/r" })]],
  },
  {
    name: "streaming, ready_path",
    env: { mode: "streaming", fprocess: "env", ready_path: "/r" },
    rows: [
      [
        "ready",
        get("/_/ready?x=1"),
        200,
        OCTETS,
        (body: string) => {
          if (!body.includes("Http_Path=/r\n") || body.includes("Http_Query")) throw new Error(body);
        },
      ],
    ],
  },
  {
    name: "serializing env",
    env: { mode: "serializing", fprocess: "env", content_type: "text/x-own" },
    rows: [
      ["get", get("/a"), 200, { ...DONE, "content-type": "text/x-own" }, variables("Http_Method=GET", "Http_Path=/a")],
    ],
  },
  {
    name: "static site",
    env: { mode: "static", static_path: "site" },
    rows: [
      ["index", get("/"), 200, { ...HTML, "accept-ranges": "bytes", "x-duration-seconds": ABSENT }, "<h1>Home</h1>\n"],
      ["index by name", get("/index.html"), 301, { location: "./" }],
      ["folder", get("/docs"), 301, { location: "docs/" }],
      ["listing", get("/docs/"), 200, HTML, /<a href="style\.css">style\.css<\/a>/],
      ["odd names", get("/a%20b/"), 200, HTML, /<a href="x&amp;y\.svg">x&amp;y\.svg<\/a>/],
      ["file with a slash", get("/digits.txt/"), 301, { location: "../digits.txt" }],
      ["type by name", get("/docs/style.css"), 200, { "content-type": "text/css; charset=utf-8" }, /^body /],
      ["head", request("HEAD /digits.txt"), 200, { "content-length": "10" }],
      ["post", request("POST /digits.txt"), 200, TEXT, "0123456789"],
      ["range", get("/digits.txt", "Range: bytes=2-4"), 206, { "content-range": "bytes 2-4/10" }, "234"],
      ["last bytes", get("/digits.txt", "Range: bytes=-3"), 206, { "content-range": "bytes 7-9/10" }, "789"],
      ["no such range", get("/digits.txt", "Range: bytes=10-"), 416, { "content-range": "bytes */10" }],
      ["not changed", get("/digits.txt", "If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"), 304, {}, ""],
      ["encoded traversal", get("/%2e%2e/%2e%2e/etc/passwd"), 301, { location: "/etc/passwd" }],
      ["query of a redirect", get("//docs?x=1"), 301, { location: "/docs?x=1" }],
    ],
  },
  { name: "http, write_timeout=0", env: { ...HTTP, write_timeout: "0" }, rows: [], ends: 1 },
  { name: "log_buffer_size is no number", env: { ...HTTP, log_buffer_size: "x" }, rows: [], ends: 1 },
  { name: "no fprocess", env: { mode: "streaming" }, rows: [], ends: 1 },
];

export const FURTHER: readonly Setting[] = [
  ...named(CLASSIC, "classic").map((setting) => ({ ...setting, env: { mode: "classic", ...setting.env } })),
  ...named(OF, "of"),
];

/** Where we answer otherwise than they do. */
export const UNRECORDED: Differences = {
  "classic, chunked env: own Query and Method": { original: "takes Query of the client", why: UNSEEN },
  "of, http, upstream path: stream": { original: "loses the path", why: "the path is part of where the function is" },
  "of, http, buffered: chunked": { original: "sends chunks", why: "who buffers wants the length to be known" },
  "of, http, buffered and ready_path: ready": { original: "panics", why: "a probe has no body, and needs none" },
};
