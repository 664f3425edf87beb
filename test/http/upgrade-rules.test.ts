import { expect, test } from "@jest/globals";
import { isOffered, offeredProtocols } from "../../http/upgrade-rules.ts";

const asked = { connection: "Upgrade", upgrade: "websocket", host: "x" };
const head = (headers: Record<string, string | undefined>, httpVersionMinor = 1, url = "/function/a") => ({
  headers: { ...asked, ...headers },
  httpVersionMinor,
  url,
});

test.each<[rule: string, given: ReturnType<typeof head>, offered: string | undefined]>([
  ["an upgrade", head({}), "websocket"],
  ["a list of options", head({ connection: "keep-alive, uPGRADE" }), "websocket"],
  ["several protocols", head({ upgrade: "websocket, echo/1" }), "websocket, echo/1"],
  ["HTTP/2 among others", head({ upgrade: "h2c, websocket,TLS/1.0" }), "websocket"],
  ["HTTP/2 alone", head({ upgrade: "h2c" }), undefined],
  ["no name", head({ upgrade: " , " }), undefined],
  ["what is no name", head({ upgrade: "web socket" }), undefined],
  ["no option", head({ connection: "keep-alive" }), undefined],
  ["no Connection", head({ connection: undefined }), undefined],
  ["HTTP/1.0", head({}, 0), undefined],
  ["no host", head({ host: undefined }), undefined],
  ["a target in absolute form", head({}, 1, "http://x/function/a"), undefined],
  ["an empty body", head({ "content-length": "0" }), "websocket"],
  ["a body", head({ "content-length": "1" }), undefined],
  ["an odd length", head({ "content-length": "00" }), undefined],
  ["chunks", head({ "transfer-encoding": "chunked" }), undefined],
])("an upgrade is offered or not: %s", (_rule, given, offered) => {
  expect(offeredProtocols(given)).toBe(offered);
});

test.each<[chosen: string | string[] | undefined, offered: string, fits: boolean]>([
  ["websocket", "websocket", true],
  ["WebSocket", "websocket", true],
  ["echo/2", "websocket, echo/1", true],
  ["gopher", "websocket", false],
  ["websocket, gopher", "websocket", false],
  ["", "websocket", false],
  [undefined, "websocket", false],
])("that %j is chosen of %j is %j", (chosen, offered, fits) => {
  expect(isOffered(chosen, offered)).toBe(fits);
});
