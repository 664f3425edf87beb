import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "@jest/globals";
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
)

func Handle(w http.ResponseWriter, r *http.Request) {
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

	handler "github.com/openfaas-incubator/go-function-sdk"
)

type event struct {
	ID   string          \`json:"id"\`
	Type string          \`json:"type"\`
	Data json.RawMessage \`json:"data"\`
}

func Handle(req handler.Request) (handler.Response, error) {
	if req.QueryString == "fail=1" {
		return handler.Response{Body: []byte("said"), StatusCode: 200}, errors.New("deliberate")
	}
	got := event{ID: req.Header.Get("Ce-Id"), Type: req.Header.Get("Ce-Type"), Data: req.Body}
	if got.ID == "" {
		if err := json.Unmarshal(req.Body, &got); err != nil {
			return handler.Response{StatusCode: http.StatusBadRequest}, nil
		}
	}
	body, err := json.Marshal(got)
	return handler.Response{Body: body, Header: http.Header{"Content-Type": {"application/json"}}}, err
}
`,
      };
      await using fn = await startWritten("golang-http", files);
      const headers = { "ce-id": "7", "ce-type": "made" };
      const binary = await fetch(fn.url, { method: "POST", body: '{"a":1}', headers });
      expect([binary.status, binary.headers.get("content-type"), await binary.json()]).toEqual([
        200,
        "application/json",
        { id: "7", type: "made", data: { a: 1 } },
      ]);
      const whole = await fetch(fn.url, { method: "POST", body: '{"id":"8","type":"made","data":{"b":2}}' });
      expect(await whole.json()).toEqual({ id: "8", type: "made", data: { b: 2 } });
      expect((await fetch(fn.url, { method: "POST", body: "{" })).status).toBe(400);
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
