import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  consumerName,
  functionQueueSubject,
  parseFunctionQueue,
  plainSubject,
} from "../../../../gateway/queue/jetstream/client/names.ts";
import { Activity } from "../../../../gateway/queue/jetstream/store/activity.ts";
import {
  decodeMemberEnd,
  encodeMemberEnd,
  finishedMember,
} from "../../../../gateway/queue/jetstream/store/batch-members.ts";
import {
  decodeCall,
  encodeCall,
  encodeSmall,
  idOf,
  queuedCall,
} from "../../../../gateway/queue/jetstream/store/call-codec.ts";
import { isCallId, MaskedCallIds, Nonces } from "../../../../gateway/queue/jetstream/store/call-id.ts";
import {
  bucketOf,
  bucketToken,
  isNear,
  laterSubject,
  parseBucket,
  parseLater,
} from "../../../../gateway/queue/jetstream/store/later-bucket.ts";
import {
  type CallRecord,
  decodeRecord,
  encodeRecord,
  outcomeOf,
  statusOf,
} from "../../../../gateway/queue/jetstream/store/record.ts";
import { newCall } from "../../../contracts/queue-contract.ts";

const seqs = fc.oneof(
  fc.nat({ max: 100 }),
  fc.maxSafeNat().map((n) => n % 2 ** 48),
  fc.constant(2 ** 48 - 1),
);

describe("ids of calls", () => {
  const nonces = new Nonces();
  const ids = new MaskedCallIds("a key");

  test("give back what they were made of, and look like UUIDs", () => {
    fc.assert(
      fc.property(seqs, (seq) => {
        const nonce = nonces.next();
        const id = ids.encode({ seq, nonce, hidden: true });
        expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
        expect(ids.decode(id)[0]).toEqual({ seq, nonce, hidden: true });
        expect(new MaskedCallIds("another key").decode(id)[0]?.seq).not.toBe(seq);
      }),
    );
  });

  test("without the key nothing in an id tells its number", () => {
    const strangers = new MaskedCallIds("");
    for (let seq = 0; seq < 500; seq++) {
      const id = ids.encode({ seq, nonce: nonces.next(), hidden: true });
      expect(strangers.decode(id).map((place) => place.seq)).not.toContain(seq);
    }
  });

  test("that an earlier release gave out are understood", () => {
    const nonce = "0123456789abcdef012";
    expect(ids.encode({ seq: 7, nonce, hidden: false })).toBe("427911a8-bad7-4012-b456-789abcdef012");
    expect(ids.decode("427911a8-bad7-4012-b456-789abcdef012")).toContainEqual({ seq: 7, nonce, hidden: false });
  });

  test("of neighbours have nothing in common", () => {
    const all = Array.from({ length: 1000 }, (_, seq) => ids.encode({ seq, nonce: nonces.next(), hidden: true }));
    expect(new Set(all.map((id) => id.slice(0, 8))).size).toBeGreaterThan(990);
    expect(new Set(all.map((id) => id.slice(-12))).size).toBe(1000);
  });

  test("are told from everything else", () => {
    const id = ids.encode({ seq: 1, nonce: nonces.next(), hidden: true });
    for (const other of [
      "",
      "x",
      id.toUpperCase(),
      `${id}0`,
      `${id.slice(0, 14)}5${id.slice(15)}`,
      id.slice(1),
      `\n${id}`,
    ]) {
      expect([isCallId(other), ids.decode(other)]).toEqual([false, []]);
    }
    fc.assert(
      fc.property(fc.uuid({ version: 4 }), (uuid) => {
        expect(isCallId(uuid)).toBe(true);
        for (const place of ids.decode(uuid)) expect(ids.encode(place)).toBe(uuid);
      }),
    );
  });

  test("hold no number beyond 48 bits", () => {
    for (const seq of [2 ** 48, -1, 0.5, Number.NaN]) {
      expect(() => ids.encode({ seq, nonce: nonces.next(), hidden: true })).toThrow(RangeError);
    }
  });

  test("nonces are of 74 bits and do not repeat, over the end of the pool too", () => {
    const many = Array.from({ length: 5000 }, () => nonces.next());
    expect(new Set(many).size).toBe(5000);
    expect(many.every((nonce) => /^[0-9a-f]{3}[0-3][0-9a-f]{15}$/.test(nonce))).toBe(true);
  });
});

describe("calls in messages", () => {
  const text = fc.string({ unit: "binary" });
  const calls = fc.record({
    call: fc.record(
      {
        callId: text,
        idempotencyKey: text,
        requestPrint: text,
        queue: fc.constant("q"),
        function: text,
        namespace: text,
        method: text,
        path: text,
        query: text,
        headers: fc.array(fc.tuple(text, text)),
        callbackUrl: text,
        acceptedAt: fc.nat(),
        notBefore: fc.nat(),
        notAfter: fc.nat(),
      },
      { requiredKeys: ["queue", "function", "namespace", "method", "path", "query", "headers", "acceptedAt"] },
    ),
    moves: fc.nat({ max: 100 }),
    attempts: fc.nat({ max: 100 }),
    body: fc.uint8Array(),
  });

  test("come out as they went in", () => {
    fc.assert(
      fc.property(calls, ({ call, moves, attempts, body }) => {
        const refused = attempts % 2 === 0 ? { refused: { times: attempts, since: moves } } : {};
        const hidden = moves % 2 === 0 ? { hidden: true as const } : {};
        const facts = { call, nonce: "0123456789abcdef012", moves, attempts, ...refused, ...hidden };
        const { body: read, ...rest } = decodeCall(encodeCall({ ...facts, body }));
        expect(rest).toEqual(facts);
        expect(Buffer.compare(read as Uint8Array, body)).toBe(0);
      }),
    );
  });

  const callbacks = fc.record(
    {
      url: text,
      state: fc.constantFrom("done", "dead", "expired"),
      retry: fc.nat(),
      retryMax: fc.nat(),
      durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
      tries: fc.nat(),
      since: fc.nat(),
      failure: text,
      reason: text,
      outcome: fc.record(
        {
          status: fc.nat(),
          durationMs: fc.nat(),
          result: fc.record({ headers: fc.array(fc.tuple(text, text)), body: fc.uint8Array() }),
        },
        { requiredKeys: ["status", "durationMs"] },
      ),
    },
    { requiredKeys: ["url", "state", "retry", "retryMax", "durationMs", "tries", "since", "outcome"] },
  );
  const formOf = (data: Buffer) => JSON.parse(data.subarray(0, data.indexOf("\n")).toString()).z;

  test("come out with their request and their answer, in a form that earlier releases leave alone", () => {
    fc.assert(
      fc.property(calls, callbacks, ({ call, moves, attempts, body }, callback) => {
        const stored = { call, nonce: "0123456789abcdef012", moves, attempts, body };
        expect(formOf(encodeCall(stored))).toBe(1);
        const encoded = encodeCall({ ...stored, callback });
        expect(formOf(encoded)).toBe(2);
        const { body: read, callback: left } = decodeCall(encoded);
        expect(Buffer.compare(read as Uint8Array, body)).toBe(0);
        const { outcome, ...rest } = left as typeof callback;
        const { outcome: told, ...others } = callback;
        expect(rest).toEqual(others);
        const { result, ...facts } = outcome;
        expect(facts).toEqual({ status: told.status, durationMs: told.durationMs });
        expect(result?.headers).toEqual(told.result?.headers);
        expect(result && Buffer.from(result.body)).toEqual(told.result && Buffer.from(told.result.body));
      }),
    );
  });

  test("keep their id when they move, and have that of their place before", () => {
    const { body, ...call } = newCall();
    const nonce = new Nonces().next();
    const ids = new MaskedCallIds("a key");
    const stored = { call, nonce, hidden: true as const, moves: 0, attempts: 0, body };
    const id = idOf(decodeCall(encodeCall(stored)), 7, ids);
    expect(ids.decode(id)).toContainEqual({ seq: 7, nonce, hidden: true });
    const moved = decodeCall(encodeCall({ call, nonce, id, moves: 2, attempts: 1, dueAt: 5, body }));
    expect(idOf(moved, 99, ids)).toBe(id);
    expect(moved).toMatchObject({ moves: 2, attempts: 1, dueAt: 5 });
    expect(queuedCall(moved, id, body)).toMatchObject({ id, callId: id });
  });

  test("are refused when they are none", () => {
    for (const data of ["", "x", "{}\n", "null\n", '{"n":1}\n']) {
      expect(() => decodeCall(Buffer.from(data))).toThrow();
    }
  });

  test("are small only with room for what they gather on their way", () => {
    const { body: _, ...call } = newCall();
    const stored = (bytes: number) => ({ call, nonce: "n", moves: 0, attempts: 0, body: new Uint8Array(bytes) });
    expect(encodeSmall(stored(1000), 10_000)).toEqual(encodeCall(stored(1000)));
    expect(encodeSmall(stored(7000), 10_000)).toBeUndefined();
    expect(encodeSmall({ ...stored(0), call: { ...call, path: "p".repeat(7000) } }, 10_000)).toBeUndefined();
  });
});

describe("names of functions", () => {
  test("are three tokens, whatever they are made of", () => {
    fc.assert(
      fc.property(
        fc.string({ minLength: 1, unit: "grapheme" }),
        fc.string({ minLength: 1, unit: "grapheme" }),
        (name, namespace) => {
          const subject = functionQueueSubject({ queue: "q", namespace, name });
          expect(subject).toMatch(/^q\.[\w%-]+\.[\w%-]+$/);
          expect(consumerName(subject)).not.toMatch(/[.\s*>/\\]/);
          expect(parseFunctionQueue(subject)).toEqual({ queue: "q", namespace, name });
        },
      ),
    );
  });

  test("have another one for their callbacks, which earlier releases take for no function queue", () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, unit: "grapheme" }), (name) => {
        const functionQueue = { queue: "q", namespace: "n", name };
        const subject = functionQueueSubject({ ...functionQueue, callbacks: true });
        expect(parseFunctionQueue(subject)).toEqual({ ...functionQueue, callbacks: true });
        expect(plainSubject(subject)).toBe(functionQueueSubject(functionQueue));
        expect(plainSubject(functionQueueSubject(functionQueue))).toBe(functionQueueSubject(functionQueue));
        expect(consumerName(subject)).not.toMatch(/[.\s*>/\\]/);
        expect(subject.split(".")).toHaveLength(3);
        // As they parse them.
        expect(() => decodeURIComponent(subject.split(".")[2] as string)).toThrow(URIError);
      }),
    );
  });

  test("are told from other subjects", () => {
    for (const subject of ["", "a", "a.b", "a.b.c.d", "a..c", "a.%zz.c"])
      expect(parseFunctionQueue(subject)).toBeUndefined();
  });
});

describe("buckets of calls for later", () => {
  test("begin before what they hold is due, and end after it", () => {
    fc.assert(
      fc.property(fc.nat({ max: 2e12 }), fc.integer({ min: 0, max: 30 * 86_400_000 }), (now, delay) => {
        const dueAt = now + delay;
        const bucket = bucketOf(dueAt, now);
        expect(bucket.start * 1000).toBeLessThanOrEqual(dueAt);
        expect((bucket.start + bucket.widthS) * 1000).toBeGreaterThan(dueAt);
        expect(parseBucket(bucketToken(bucket))).toEqual(bucket);
        // Once it begins its calls are near, or go to a narrower one.
        const begin = Math.max(now, bucket.start * 1000);
        expect(isNear(dueAt, begin) || bucketOf(dueAt, begin).widthS < bucket.widthS || begin === now).toBe(true);
      }),
    );
  });

  test("are named in subjects, with the function", () => {
    const functionQueue = { queue: "q", namespace: "n.s", name: "f" };
    const subject = laterSubject({ start: 10, widthS: 2 }, functionQueue);
    expect(parseLater(subject)).toEqual({ token: "10-2", functionQueue: functionQueueSubject(functionQueue) });
    expect(parseLater("FAASLANE.later.10-2.q")).toBeUndefined();
    for (const token of ["", "1", "1-", "a-2", "1-2-3", "1.5-2"]) expect(parseBucket(token)).toBeUndefined();
  });
});

describe("records of calls", () => {
  const record: CallRecord = {
    id: "i",
    callId: "c",
    queue: "q",
    function: "f",
    namespace: "n",
    state: "done",
    attempts: 1,
    acceptedAt: 1,
    location: { stream: "s", seq: 1, moves: 2 },
    resultUntil: 100,
    outcome: { status: 200, durationMs: 3, result: { headers: [["a", "b\u00e9"]], body: Buffer.from("x\n{y") } },
  };

  test("come out as they went in", () => {
    const read = decodeRecord(encodeRecord(record));
    expect(read).toEqual({ record: { ...record, status: 200, durationMs: 3, outcome: expect.anything() } });
    expect(Buffer.from(read.record.outcome?.result?.body ?? []).toString()).toBe("x\n{y");
    const key = { key: "k", parts: 2, bytes: 9 };
    expect(decodeRecord(encodeRecord(record, key)).large).toEqual(key);
  });

  test("tell of a result until its time", () => {
    expect(statusOf(record, 99)).toMatchObject({ resultUntil: 100 });
    expect(outcomeOf(record, 99)).toBe(record.outcome);
    expect(statusOf(record, 100)).not.toHaveProperty("resultUntil");
    expect(outcomeOf(record, 100)).toEqual({ status: 200, durationMs: 3 });
    for (const inner of ["location", "outcome"]) expect(statusOf(record, 0)).not.toHaveProperty(inner);
  });

  test("of members say what became of them, with the result while it fits", () => {
    const { small, result } = encodeMemberEnd(record, 1000);
    const end = decodeMemberEnd(small);
    expect(finishedMember(4, end, result)).toEqual({ index: 4, state: "done", outcome: record.outcome });
    const large = encodeMemberEnd(record, 1);
    expect(large.result).toBeUndefined();
    expect(decodeMemberEnd(large.small)).toMatchObject({ state: "done", large: "i" });
  });
});

test("activity is that of the last minute, of all processes heard lately", () => {
  const activity = new Activity();
  const functionQueue = "q.n.f";
  for (let i = 0; i < 30; i++) activity.accepted(functionQueue, i * 1000);
  activity.finished(functionQueue, 29_000);
  activity.taken(functionQueue);
  activity.started(functionQueue);
  expect(activity.own(29_000)).toEqual({ "q.n.f": { accepted: 30, finished: 1, running: 1, held: 1 } });
  expect(activity.own(70_000)).toEqual({ "q.n.f": { accepted: 19, finished: 1, running: 1, held: 1 } });
  activity.hear("other", { "q.n.f": { accepted: 5, finished: 6, running: 7, held: 8 } }, 70_000);
  const sum = { accepted: 23, finished: 7, running: 8, held: 9 };
  expect(activity.all(71_000).get("q.n.f")).toEqual(sum);
  expect(activity.of("q.n.f", 71_000)).toEqual(sum);
  activity.ended(functionQueue);
  activity.released(functionQueue);
  expect(activity.all(200_000).size).toBe(0);
  expect(activity.of("q.n.f", 200_000)).toEqual({ accepted: 0, finished: 0, running: 0, held: 0 });
});
