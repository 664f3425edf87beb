/** Where a form is sent, and what hides in it. */
export interface Aim {
  /** The path that is meant. */
  readonly path: string;
  /** A whole request for another path of the same function. */
  readonly hidden: string;
}

/**
 * What may come of a form: the function sees one request with this body; or none (`refused`), the connection being closed
 * after an error; or either of the two, where readers differ and both are safe.
 */
export interface Expected {
  readonly body?: string;
  readonly refused?: true;
}

export interface Form {
  readonly name: string;
  readonly request: (aim: Aim) => string;
  readonly expected: (aim: Aim) => Expected;
}

const refused = (): Expected => ({ refused: true });
const hiddenAsBody = ({ hidden }: Aim): Expected => ({ body: hidden });
const eitherWay = ({ hidden }: Aim): Expected => ({ body: hidden, refused: true });
const helloAsBody = (): Expected => ({ body: "hello" });
const helloEitherWay = (): Expected => ({ body: "hello", refused: true });
const empty = (): Expected => ({ body: "" });

const TE = "Transfer-Encoding: chunked";
const END = "0\r\n\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const lengthOf = (text: string) => `Content-Length: ${text.length}`;

function message(line: string, headers: readonly string[], body = ""): string {
  return `${[line, "Host: x", ...headers].join("\r\n")}\r\n\r\n${body}`;
}

const post = ({ path }: Aim, headers: readonly string[], body = "") => message(`POST ${path} HTTP/1.1`, headers, body);

/** A chunked body that ends before `hidden`, with other headers than the plain one. */
const chunkedBy =
  (...headers: readonly string[]) =>
  (aim: Aim) =>
    post(aim, headers, chunk(aim.hidden) + END);
/** One reader takes `hidden` for the body, another for the next request. */
const lengthBy = (header: (length: number) => string) => (aim: Aim) =>
  post(aim, [header(aim.hidden.length)], aim.hidden);
/** A chunked body as it is written. */
const chunks = (body: string | ((aim: Aim) => string)) => (aim: Aim) =>
  post(aim, [TE], typeof body === "string" ? body + aim.hidden : body(aim));
/** A head as it is written, `hidden` behind it. */
const raw = (head: (aim: Aim) => string) => (aim: Aim) => head(aim) + aim.hidden;

type Row = readonly [name: string, request: (aim: Aim) => string, expected: (aim: Aim) => Expected];

const TWO_FRAMINGS: readonly Row[] = [
  ["CL.TE", (aim) => post(aim, [lengthOf(END + aim.hidden), TE], END + aim.hidden), refused],
  ["TE.CL", (aim) => post(aim, [TE, "Content-Length: 4"], chunk(aim.hidden) + END), refused],
  ["CL.TE, length 0", (aim) => post(aim, ["Content-Length: 0", TE], chunk(aim.hidden) + END), refused],
  [
    "CL.TE, an encoding that is none",
    (aim) => post(aim, [lengthOf("hello"), "Transfer-Encoding: x"], "hello"),
    refused,
  ],
  ["TE.TE, chunked and identity", chunkedBy(TE, "Transfer-Encoding: identity"), refused],
  ["TE.TE, identity and chunked", chunkedBy("Transfer-Encoding: identity", TE), eitherWay],
  ["TE.TE, chunked and a word", chunkedBy(TE, "Transfer-encoding: cow"), refused],
  ["TE: chunked, identity", chunkedBy("Transfer-Encoding: chunked, identity"), refused],
  ["TE: identity", chunkedBy("Transfer-Encoding: identity"), refused],
  ["TE: gzip, chunked", chunkedBy("Transfer-Encoding: gzip, chunked"), eitherWay],
  ["TE: chunked, chunked", chunkedBy("Transfer-Encoding: chunked, chunked"), eitherWay],
  ["TE: xchunked", chunkedBy("Transfer-Encoding: xchunked"), refused],
  ["TE: chunkedx", chunkedBy("Transfer-Encoding: chunkedx"), refused],
  ["TE: chunked;q=1", chunkedBy("Transfer-Encoding: chunked;q=1"), refused],
  ['TE: "chunked"', chunkedBy('Transfer-Encoding: "chunked"'), refused],
  ["TE: CHUNKED", chunkedBy("Transfer-Encoding: CHUNKED"), hiddenAsBody],
  ["TE without a value", chunkedBy("Transfer-Encoding:"), refused],
  ["TE behind a tab", chunkedBy("Transfer-Encoding:\tchunked"), eitherWay],
  ["TE before blanks", chunkedBy("Transfer-Encoding: chunked \t "), eitherWay],
  ["TE behind a vertical tab", chunkedBy("Transfer-Encoding: \x0bchunked"), refused],
  ["TE before NUL", chunkedBy("Transfer-Encoding: chunked\0"), refused],
  ["TE before DEL", chunkedBy("Transfer-Encoding: chunked\x7f"), refused],
  ["TE behind a byte of Latin-1", chunkedBy("Transfer-Encoding: \xffchunked"), refused],
  ["a blank before the colon of TE", chunkedBy("Transfer-Encoding : chunked"), refused],
  ["a tab before the colon of TE", chunkedBy("Transfer-Encoding\t: chunked"), refused],
  ["NUL in the name of TE", chunkedBy("Transfer\0-Encoding: chunked"), refused],
  ["TE on a folded line", chunkedBy("X-Before: a\r\n Transfer-Encoding: chunked"), refused],
  ["TE with a folded value", chunkedBy("Transfer-Encoding:\r\n chunked"), eitherWay],
  ["TE with a folded tail", chunkedBy("Transfer-Encoding: chunked\r\n\tx"), refused],
  [
    "an underscore instead of the hyphen of TE",
    (aim) => post(aim, [lengthOf(aim.hidden), "Transfer_Encoding: chunked"], aim.hidden),
    hiddenAsBody,
  ],
];

const LENGTHS: readonly Row[] = [
  ["two equal lengths", (aim) => post(aim, [lengthOf("hello"), lengthOf("hello")], "hello"), helloEitherWay],
  ["two lengths", (aim) => post(aim, [lengthOf(aim.hidden), "Content-Length: 0"], aim.hidden), refused],
  [
    "two lengths the other way round",
    (aim) => post(aim, ["Content-Length: 0", lengthOf(aim.hidden)], aim.hidden),
    refused,
  ],
  ["a list of lengths", lengthBy((length) => `Content-Length: ${length}, ${length}`), refused],
  ["a length with a plus", lengthBy((length) => `Content-Length: +${length}`), refused],
  ["a length with a minus", lengthBy((length) => `Content-Length: -${length}`), refused],
  ["a length with a blank inside", lengthBy((length) => `Content-Length: 0 ${length}`), refused],
  ["a length with blanks around", lengthBy((length) => `Content-Length: \t ${length} \t`), eitherWay],
  ["a length with zeros before", lengthBy((length) => `Content-Length: 000${length}`), eitherWay],
  ["a hexadecimal length", lengthBy((length) => `Content-Length: 0x${length.toString(16)}`), refused],
  ["a length with a fraction", lengthBy((length) => `Content-Length: ${length}.0`), refused],
  ["a length with an exponent", lengthBy((length) => `Content-Length: ${length}e0`), refused],
  ["a length past 64 bits", lengthBy((length) => `Content-Length: ${2n ** 64n + BigInt(length)}`), refused],
  ["a length without digits", lengthBy(() => "Content-Length:"), refused],
  ["a folded length", lengthBy((length) => `Content-Length:\r\n ${length}`), eitherWay],
  ["a blank before the colon of a length", lengthBy((length) => `Content-Length : ${length}`), refused],
  ["NUL before the colon of a length", lengthBy((length) => `Content-Length\0: ${length}`), refused],
  [
    "a length that `Connection` names",
    (aim) => post(aim, [lengthOf(aim.hidden), "Connection: content-length"], aim.hidden),
    eitherWay,
  ],
  ["chunks that `Connection` names", chunkedBy(TE, "Connection: transfer-encoding, close"), eitherWay],
  [
    "a host that `Connection` names",
    (aim) => post(aim, [lengthOf(aim.hidden), "Connection: host"], aim.hidden),
    eitherWay,
  ],
];

const CHUNKS: readonly Row[] = [
  [
    "a chunk with an extension",
    chunks(({ hidden }) => `${hidden.length.toString(16)};a=b\r\n${hidden}\r\n${END}`),
    eitherWay,
  ],
  ["an extension with a bare LF", chunks(`5;a\nhello\r\n${END}`), refused],
  ["an extension with a quoted line end", chunks(`5;a="\r\nhello\r\n${END}"\r\n`), helloEitherWay],
  ["a chunk with a size past 64 bits", chunks(`10000000000000005\r\nhello\r\n${END}`), refused],
  ["a chunk with a size of 0x5", chunks(`0x5\r\nhello\r\n${END}`), refused],
  ["a chunk with a size of +5", chunks(`+5\r\nhello\r\n${END}`), refused],
  ["a chunk with a size of -1", chunks("-1\r\nhello\r\n"), refused],
  ["a chunk with a blank before its size", chunks(` 5\r\nhello\r\n${END}`), refused],
  ["a chunk with an underscore in its size", chunks(`0_5\r\nhello\r\n${END}`), refused],
  ["a chunk without a size", chunks(`\r\nhello\r\n${END}`), refused],
  ["a chunk that is longer than its size", chunks(`5\r\nhello there\r\n${END}`), refused],
  ["a chunk that ends in LF", chunks(`5\r\nhello\n${END}`), refused],
  ["a size that ends in LF", chunks(`5\nhello\r\n${END}`), refused],
  ["a size that ends in CR", chunks(`5\rhello\r\n${END}`), refused],
  [
    "framing in the trailers",
    chunks(({ hidden }) => `${chunk(hidden)}0\r\nContent-Length: 99\r\n${TE}\r\n\r\n`),
    eitherWay,
  ],
  ["a request in the trailers", chunks(({ hidden }) => `${chunk(hidden)}0\r\n${hidden}`), refused],
];

const HEADS: readonly Row[] = [
  ["lines that end in LF", raw(({ path }) => `POST ${path} HTTP/1.1\nHost: x\nContent-Length: 0\n\n`), refused],
  ["lines that end in CR", raw(({ path }) => `POST ${path} HTTP/1.1\rHost: x\rContent-Length: 0\r\r`), refused],
  ["a header that ends in LF", raw((aim) => post(aim, [`X-A: b\n${TE}`], END)), refused],
  ["a header that ends in CR", raw((aim) => post(aim, [`X-A: b\r${TE}`], END)), refused],
  ["a header with NUL", raw((aim) => post(aim, [`X-A: b\0${TE}`], END)), refused],
  ["a header without a colon", raw((aim) => post(aim, ["X-A", "Content-Length: 0"])), refused],
  ["a header without a name", raw((aim) => post(aim, [": b", "Content-Length: 0"])), refused],
  ["a blank in a name", raw((aim) => post(aim, ["X A: b", "Content-Length: 0"])), refused],
  ["a name outside ASCII", raw((aim) => post(aim, ["X-\xe4: b", "Content-Length: 0"])), refused],
  ["a folded header", (aim) => post(aim, ["X-A: b\r\n c", lengthOf(aim.hidden)], aim.hidden), eitherWay],
  [
    "a blank before the first header",
    raw(({ path }) => `POST ${path} HTTP/1.1\r\n Host: x\r\nContent-Length: 0\r\n\r\n`),
    refused,
  ],
  ["a blank in the target", raw(({ path }) => message(`POST ${path} b HTTP/1.1`, ["Content-Length: 0"])), refused],
  ["NUL in the target", raw(({ path }) => message(`POST ${path}\0 HTTP/1.1`, ["Content-Length: 0"])), refused],
  ["CR in the target", raw(({ path }) => message(`POST ${path}\r HTTP/1.1`, ["Content-Length: 0"])), refused],
  ["a line end in the target", raw(({ path }) => message(`POST ${path}\r\n HTTP/1.1`, ["Content-Length: 0"])), refused],
  [
    "an escaped line end in the target",
    (aim) => post({ ...aim, path: `${aim.path}?%0d%0a%0d%0a${encodeURIComponent(aim.hidden)}` }, ["Content-Length: 0"]),
    empty,
  ],
  [
    "a blank before the method",
    raw(({ path }) => ` ${message(`POST ${path} HTTP/1.1`, ["Content-Length: 0"])}`),
    refused,
  ],
  ["a method in small letters", raw(({ path }) => message(`post ${path} HTTP/1.1`, ["Content-Length: 0"])), refused],
  ["a method that is none", raw(({ path }) => message(`SMUGGLE ${path} HTTP/1.1`, ["Content-Length: 0"])), refused],
  ["HTTP/1.2", raw(({ path }) => message(`POST ${path} HTTP/1.2`, ["Content-Length: 0"])), refused],
  ["HTTP/1.10", raw(({ path }) => message(`POST ${path} HTTP/1.10`, ["Content-Length: 0"])), refused],
  ["HTTP/2.0 by its preface", raw(() => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), refused],
  ["another protocol", raw(({ path }) => message(`POST ${path} ICE/1.0`, ["Content-Length: 0"])), refused],
  ["line ends before the request", (aim) => `\r\n\r\n${post(aim, [lengthOf(aim.hidden)], aim.hidden)}`, eitherWay],
];

const BODIES: readonly Row[] = [
  ...["GET", "DELETE", "PUT", "PATCH", "OPTIONS"].map(
    (method): Row => [
      `a request in the body of a ${method}`,
      ({ path, hidden }) => message(`${method} ${path} HTTP/1.1`, [lengthOf(hidden)], hidden),
      eitherWay,
    ],
  ),
  [
    "a request in the chunks of a GET",
    ({ path, hidden }) => message(`GET ${path} HTTP/1.1`, [TE], chunk(hidden) + END),
    eitherWay,
  ],
  [
    "a request in the body of a HEAD",
    ({ path, hidden }) => message(`HEAD ${path} HTTP/1.1`, [lengthOf(hidden)], hidden),
    eitherWay,
  ],
  [
    "a request behind HTTP/1.0 without a length",
    ({ path, hidden }) => message(`POST ${path} HTTP/1.0`, [], hidden),
    () => ({ body: "", refused: true }),
  ],
  [
    "a request in the chunks of HTTP/1.0",
    ({ path, hidden }) => message(`POST ${path} HTTP/1.0`, [TE], chunk(hidden) + END),
    eitherWay,
  ],
  [
    "a request behind the end of the connection",
    (aim) => post(aim, [lengthOf("hello"), "Connection: close"], `hello${aim.hidden}`),
    helloAsBody,
  ],
  [
    "a request behind an upgrade to h2c",
    (aim) =>
      post(
        aim,
        ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABk", lengthOf(aim.hidden)],
        aim.hidden,
      ),
    eitherWay,
  ],
  [
    "a request behind an upgrade to websocket",
    (aim) => post(aim, ["Connection: Upgrade", "Upgrade: websocket", lengthOf(aim.hidden)], aim.hidden),
    eitherWay,
  ],
  ["a request in a tunnel", raw(() => "CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), refused],
  [
    "a request that waits for leave",
    (aim) => post(aim, ["Expect: 100-continue", lengthOf(aim.hidden)], aim.hidden),
    eitherWay,
  ],
  [
    "a request that expects what nobody knows",
    (aim) => post(aim, ["Expect: smuggling", lengthOf(aim.hidden)], aim.hidden),
    eitherWay,
  ],
  [
    "a body behind a redirect",
    (aim) => post({ ...aim, path: aim.path.replace(/\/(\w+)$/, "//$1") }, [lengthOf(aim.hidden)], aim.hidden),
    eitherWay,
  ],
  [
    "chunks behind a redirect",
    (aim) => post({ ...aim, path: aim.path.replace(/\/(\w+)$/, "//$1") }, [TE], chunk(aim.hidden) + END),
    eitherWay,
  ],
];

/** Requests that two readers may take for more or fewer than one. */
export const FORMS: readonly Form[] = [...TWO_FRAMINGS, ...LENGTHS, ...CHUNKS, ...HEADS, ...BODIES].map(
  ([name, request, expected]) => ({ name, request, expected }),
);
