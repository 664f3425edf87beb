import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
import { decodeHttp, encodeBinary, encodeStructured } from "../../events/codec/http.ts";
import { describeNeeding, unlessRequired } from "../support/needing.ts";
import { layOut } from "../templates/support/build-context.ts";
import { startFunction } from "../templates/support/function-process.ts";
import { startWritten } from "../templates/support/written-function.ts";

/** Compiling is slow, so each test builds once. */
const missing = await promisify(execFile)("go", ["version"]).then(
  () => undefined,
  () => "this machine has no go",
);
const SLOW = 300_000;

const EVENT = {
  attributes: {
    specversion: "1.0",
    id: "7",
    source: "/s",
    type: "made",
    datacontenttype: "application/json",
    subject: 'Euro € "q" 100%',
    extra: "grüße",
  },
  data: Buffer.from('{"a":1}'),
};
const base64 = (text: string) => Buffer.from(text).toString("base64");
const post = (url: string, { headers, body }: { headers: Record<string, string>; body: Buffer }) =>
  fetch(url, { method: "POST", headers, body: new Uint8Array(body) });

/** With an event of the same data and extensions, whichever way the one that it gets is written. */
async function repliesToEvents(url: string): Promise<void> {
  for (const encode of [encodeBinary, encodeStructured]) {
    const answer = await post(url, encode(EVENT));
    const [reply] = decodeHttp(Object.fromEntries(answer.headers), Buffer.from(await answer.arrayBuffer()));
    expect([answer.status, reply]).toEqual([
      200,
      {
        attributes: {
          specversion: "1.0",
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          source: "/ü",
          type: "done",
          subject: "7",
          extra: "grüße",
          datacontenttype: "application/json",
        },
        data: EVENT.data,
      },
    ]);
  }
}

describeNeeding(unlessRequired(missing))("Go", () => {
  test(
    "golang-middleware: the sample answers, its own test passes, and it ends well",
    async () => {
      const fn = await startFunction("golang-middleware");
      try {
        const answer = await fetch(`${fn.url}/greet`, { method: "POST", body: "hello" });
        expect([answer.status, await answer.text()]).toEqual([200, "POST /greet with: hello\n"]);
        expect(await fn.terminate()).toBe(0);
      } finally {
        await fn.remove();
      }
    },
    SLOW,
  );

  test(
    "golang-middleware: a vendor folder, with events beside it",
    async () => {
      const files = {
        "go.mod": "module handler/function\n\ngo 1.18\n\nrequire example.com/words v1.0.0\n",
        "vendor/modules.txt": "# example.com/words v1.0.0\n## explicit; go 1.18\nexample.com/words\n",
        "vendor/example.com/words/words.go": 'package words\n\nconst Hello = "hello"\n',
        "handler.go": `package function

import (
	"net/http"

	"example.com/words"
	"faaslane/cloudevent"
)

func Handle(w http.ResponseWriter, r *http.Request) {
	if event, _ := cloudevent.FromRequest(r); event != nil {
		w.Write([]byte(words.Hello + " " + event.ID))
	}
}
`,
      };
      await using fn = await startWritten("golang-middleware", files);
      const headers = { "ce-specversion": "1.0", "ce-id": "7", "ce-source": "/s", "ce-type": "t" };
      expect(await (await fetch(fn.url, { method: "POST", headers })).text()).toBe("hello 7");
    },
    SLOW,
  );

  test(
    "golang-middleware: a module of another name, with packages of its own, a newer go line and a stream",
    async () => {
      const files = {
        "go.mod": "module example.com/me/fn\n\ngo 1.18.1\n\ntoolchain go1.18.3\n",
        "handler.go": `package fn

import (
	"fmt"
	"net/http"
	"time"

	"example.com/me/fn/pkg/words"
	"faaslane/cloudevent"
)

func Handle(w http.ResponseWriter, r *http.Request) {
	event, err := cloudevent.FromRequest(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if event != nil {
		reply := cloudevent.Event{Source: "/ü", Type: "done", Subject: event.ID, Data: event.Data, Extensions: event.Extensions}
		reply.DataContentType = event.DataContentType
		if err := cloudevent.Reply(w, reply); err != nil {
			http.Error(w, "the reply cannot be sent", http.StatusInternalServerError)
		}
		return
	}
	w.Header().Set("X-Word", words.First(r.URL.Query().Get("q")))
	w.WriteHeader(http.StatusAccepted)
	for i := 0; i < 3; i++ {
		fmt.Fprintf(w, "%d\\n", i)
		w.(http.Flusher).Flush()
		time.Sleep(time.Millisecond)
	}
}
`,
        "pkg/words/words.go": `package words

import "strings"

func First(text string) string { return strings.Fields(text)[0] }
`,
      };
      await using fn = await startWritten("golang-middleware", files);
      const answer = await fetch(`${fn.url}/?q=one+two`);
      expect([answer.status, answer.headers.get("x-word"), await answer.text()]).toEqual([202, "one", "0\n1\n2\n"]);
      await repliesToEvents(fn.url);
    },
    SLOW,
  );

  test(
    "golang-http: a handler that imports the package by its older name, and a CloudEvent",
    async () => {
      const files = {
        "handler.go": `package function

import (
	"encoding/json"
	"errors"
	"net/http"

	"faaslane/cloudevent"
	handler "github.com/openfaas-incubator/go-function-sdk"
)

func Handle(req handler.Request) (handler.Response, error) {
	if req.QueryString == "fail=1" {
		return handler.Response{Body: []byte("said"), StatusCode: 200}, errors.New("deliberate")
	}
	event, err := cloudevent.Read(req.Header, req.Body)
	if err != nil {
		return handler.Response{StatusCode: http.StatusBadRequest, Body: []byte(err.Error())}, nil
	}
	if event == nil {
		return handler.Response{Body: []byte("no event")}, nil
	}
	if req.QueryString == "told=1" {
		body, err := json.Marshal(event)
		return handler.Response{Body: body}, err
	}
	reply := cloudevent.Event{Source: "/ü", Type: "done", Subject: event.ID, Data: event.Data, Extensions: event.Extensions}
	reply.DataContentType = event.DataContentType
	header, body, err := reply.Encode()
	return handler.Response{Body: body, Header: header}, err
}
`,
      };
      await using fn = await startWritten("golang-http", files);
      await repliesToEvents(fn.url);
      expect(await (await fetch(fn.url, { method: "POST", body: "x" })).text()).toBe("no event");
      const told = async (event: Parameters<typeof encodeStructured>[0], encode = encodeStructured) =>
        (await (await post(`${fn.url}/?told=1`, encode(event))).json()) as object;
      expect(await told({ ...EVENT, data: Buffer.from([255]) })).toMatchObject({ ID: "7", Data: "/w==" });
      expect(await told({ attributes: { ...EVENT.attributes, n: 3, b: true } })).toMatchObject({
        Extensions: { n: "3", b: "true" },
        Data: null,
      });
      expect(await told(EVENT, encodeBinary)).toMatchObject({ Subject: 'Euro € "q" 100%', Data: base64('{"a":1}') });
      for (const body of ["{", "[]", "{}", '{"specversion":"1.0","id":"1"}']) {
        const headers = { "content-type": "application/cloudevents+json" };
        expect((await fetch(fn.url, { method: "POST", body, headers })).status).toBe(400);
      }
      const failed = await fetch(`${fn.url}/?fail=1`);
      expect([failed.status, await failed.text()]).toEqual([500, "said"]);
      expect(fn.log()).toContain("deliberate");
    },
    SLOW,
  );

  test(
    "golang-http: the sample builds, and its own test passes there",
    async () => {
      const context = await layOut("golang-http");
      try {
        expect(existsSync(join(context.dir, "handler"))).toBe(true);
        const env = { ...process.env, GOFLAGS: "-mod=mod", GOWORK: "off", CGO_ENABLED: "0" };
        const { stdout } = await promisify(execFile)("go", ["test", "./..."], {
          cwd: join(context.dir, "function"),
          env,
        });
        expect(stdout).toMatch(/^ok\s/m);
      } finally {
        await context.remove();
      }
    },
    SLOW,
  );

  test(
    "a handler that does not compile fails the build with the compiler's words",
    async () => {
      const files = { "handler.go": "package function\n\nfunc Handle() { return 1 }\n" };
      await expect(startWritten("golang-middleware", files)).rejects.toThrow(/handler\.go:3:\d+: /);
    },
    SLOW,
  );
});
