import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { eventually } from "../eventually.ts";
import { EventStack, NAMESPACE, type StackPlace } from "./event-stack.ts";
import { FakeFunctions } from "./fake-functions.ts";
import { HttpSubscriber } from "./subscriber.ts";

/** Waits of a moment, so that the tests are short. */
const QUICK = { backoffPolicy: "linear", backoffDelay: "PT0.001S" } as const;

/** The rules of brokers, sentence by sentence, as Knative holds them against its own. */
export function describeBrokerRules(name: string, newPlace: () => Promise<StackPlace>): void {
  describe(name, () => {
    let place: StackPlace;
    let stack: EventStack;
    let subscriber: HttpSubscriber;
    let other: HttpSubscriber;

    beforeEach(async () => {
      place = await newPlace();
      [stack, subscriber, other] = await Promise.all([
        EventStack.open(place),
        HttpSubscriber.open(),
        HttpSubscriber.open(),
      ]);
      await stack.engine.ready;
    });
    afterEach(async () => {
      await stack.close();
      await Promise.all([subscriber.close(), other.close(), place.remove()]);
    });

    const declare = (name: string, to: HttpSubscriber, spec: object = {}, delivery: object = {}) =>
      stack.declare(name, { subscriber: { uri: to.url }, ...spec, delivery: { ...QUICK, ...delivery } });

    const reply = (type: string, body = "{}") => ({
      status: 200,
      headers: {
        "ce-specversion": "1.0",
        "ce-id": "r-1",
        "ce-source": "/r",
        "ce-type": type,
        "content-type": "application/json",
      },
      body,
    });

    describe("the broker", () => {
      test("delivers data and attributes as they came", async () => {
        await declare("one", subscriber);
        const data = Buffer.from('{"a":  1,\n"b":"ü"}');
        const extra = { subject: "Euro € 😀", custom: "x y", number: 5, flag: true };
        const [id] = await stack.send({ extra, data });
        await stack.settled(id as string);
        const [request] = subscriber.received;
        expect(request?.body.equals(data)).toBe(true);
        expect(request?.headers).toMatchObject({
          "ce-specversion": "1.0",
          "ce-subject": "Euro%20%E2%82%AC%20%F0%9F%98%80",
          "ce-custom": "x%20y",
          "ce-number": "5",
          "ce-flag": "true",
        });
      });

      test("delivers each event at least once to every trigger that wants it, and tells why to no others", async () => {
        await declare("all", subscriber);
        await declare("placed", other, { filters: [{ exact: { type: "order.placed" } }] });
        const [placed] = await stack.send();
        const [paid] = await stack.send({ type: "order.paid" });
        await Promise.all([placed, paid].map((id) => stack.settled(id as string)));
        expect(subscriber.ids.sort()).toEqual([placed, paid].sort());
        expect(other.ids).toEqual([placed]);
        const { verdicts } = await stack.record(paid as string);
        expect(verdicts).toContainEqual({
          trigger: `trigger/${NAMESPACE}/placed`,
          matched: false,
          reason: 'filters[0].exact: type is "order.paid", not exact "order.placed"',
        });
      });

      test("routes a reply to the triggers of the broker", async () => {
        await declare("one", subscriber, { filters: [{ exact: { type: "order.placed" } }] });
        await declare("two", other, { filters: [{ exact: { type: "order.paid" } }] });
        subscriber.answer = () => reply("order.paid", '{"paid":true}');
        await stack.send();
        await eventually("the reply is delivered", () => other.received.length > 0);
        expect(other.received[0]?.headers["ce-id"]).toBe("r-1");
        expect(other.received[0]?.body.toString()).toBe('{"paid":true}');
      });

      test("takes a malformed reply for a failed delivery", async () => {
        await declare("one", subscriber);
        subscriber.answer = (_request, place) => (place === 0 ? { status: 200, body: "no event" } : { status: 204 });
        const [id] = await stack.send();
        const record = await stack.settled(id as string);
        expect(subscriber.ids).toEqual([id, id]);
        expect(record.deliveries[0]).toMatchObject({ state: "delivered", tries: 2 });
        expect(record.deliveries[0]?.attempts[0]?.error).toContain("malformed reply");
      });

      test("delivers the original event again when a reply is not accepted", async () => {
        await declare("one", subscriber, { filters: [{ exact: { type: "order.placed" } }] });
        const large = "x".repeat(stack.store.events.maxEventBytes + 1);
        subscriber.answer = (_request, place) => (place === 0 ? reply("big", large) : { status: 204 });
        const [id] = await stack.send();
        await stack.settled(id as string);
        expect(subscriber.ids).toEqual([id, id]);
      });

      test("does not route the event in an answer of 202", async () => {
        await declare("one", subscriber, { filters: [{ exact: { type: "order.placed" } }] });
        await declare("two", other, { filters: [{ exact: { type: "order.paid" } }] });
        subscriber.answer = () => ({ ...reply("order.paid"), status: 202 });
        const [id] = await stack.send();
        await stack.settled(id as string);
        const [next] = await stack.send({ type: "order.paid" });
        await stack.settled(next as string);
        expect(other.ids).toEqual([next]);
      });

      test("ends a loop of replies when its hops are used up", async () => {
        await declare("one", subscriber);
        subscriber.answer = (_request, place) => ({
          ...reply("again"),
          headers: { ...reply("again").headers, "ce-id": `r-${place}`, "ce-knativebrokerttl": "255" },
        });
        await stack.send({ hops: 5 });
        const last = await eventually("the last reply", () => subscriber.received[4]);
        const record = await stack.settled(last.headers["ce-id"] as string);
        expect(record.deliveries[0]?.attempts[0]?.note).toContain("the reply is dropped");
        expect(subscriber.received).toHaveLength(5);
      });

      test("asks for replies, and keeps the headers that are forwarded", async () => {
        await declare("one", subscriber);
        const [id] = await stack.send({
          headers: [
            ["knative-priority", "high"],
            ["x-request-id", "r"],
            ["x-other", "o"],
          ],
        });
        await stack.settled(id as string);
        expect(subscriber.received[0]?.headers).toMatchObject({
          prefer: "reply",
          "kn-namespace": NAMESPACE,
          "knative-priority": "high",
          "x-request-id": "r",
        });
        expect(subscriber.received[0]?.headers).not.toHaveProperty("x-other");
      });

      test("delivers a long message, and takes a long response", async () => {
        await declare("one", subscriber, { filters: [{ exact: { type: "order.placed" } }] });
        await declare("two", other, { filters: [{ exact: { type: "order.paid" } }] });
        const data = Buffer.alloc(700_000, "abc");
        subscriber.answer = ({ body }) => reply("order.paid", body.toString());
        await stack.send({ data });
        const answered = await eventually("the long reply", () => other.received[0]);
        expect(subscriber.received[0]?.body.equals(data)).toBe(true);
        expect(answered.body.equals(data)).toBe(true);
      });
    });

    describe("redelivery", () => {
      test("delivers after the first n tries have failed", async () => {
        await declare("one", subscriber, {}, { retry: 5 });
        subscriber.answer = (_request, place) => ({ status: place < 4 ? 503 : 204 });
        const [id] = await stack.send();
        const { deliveries } = await stack.settled(id as string);
        expect(deliveries[0]).toMatchObject({ state: "delivered", tries: 5 });
      });

      test("with failures in the places of Fibonacci, each event arrives once, and no event takes more tries than there are", async () => {
        const fails = new Set([0, 1, 2, 4, 7, 12, 20, 33, 54, 88]);
        await declare("one", subscriber, {}, { retry: 10 });
        const delivered: (string | undefined)[] = [];
        subscriber.answer = ({ headers }, place) => {
          if (fails.has(place)) return place % 2 === 0 ? { status: 500 } : undefined;
          delivered.push(headers["ce-id"] as string);
          return { status: 202 };
        };
        const ids = await stack.send({}, 50);
        const records = await Promise.all(ids.map((id) => stack.settled(id)));
        expect(delivered.sort()).toEqual([...ids].sort());
        for (const { deliveries } of records) expect(deliveries[0]?.tries).toBeLessThanOrEqual(11);
      });

      test("a dead letter of an unreachable subscriber names it", async () => {
        const gone = await HttpSubscriber.open();
        await gone.close();
        await declare("one", gone, {}, { retry: 1, deadLetterSink: { uri: other.url } });
        const [id] = await stack.send();
        const { deliveries } = await stack.settled(id as string);
        expect(other.received[0]?.headers).toMatchObject({
          "ce-id": id,
          "ce-knativeerrordest": gone.url,
          "ce-knativeerrorcode": "-1",
        });
        expect(deliveries.map(({ state }) => state)).toEqual(["dead", "delivered"]);
      });

      test("a dead letter of an error without data has no data of it, and one with data has it in base64", async () => {
        await declare("one", subscriber, {}, { retry: 0, deadLetterSink: { uri: other.url } });
        subscriber.answer = (_request, place) => (place === 0 ? { status: 500 } : { status: 422, body: "bad order" });
        const [without] = await stack.send();
        await stack.settled(without as string);
        const [withData] = await stack.send();
        await stack.settled(withData as string);
        expect(other.received[0]?.headers).toMatchObject({
          "ce-knativeerrordest": subscriber.url,
          "ce-knativeerrorcode": "500",
        });
        expect(other.received[0]?.headers).not.toHaveProperty("ce-knativeerrordata");
        expect(other.received[1]?.headers).toMatchObject({
          "ce-knativeerrorcode": "422",
          "ce-knativeerrordata": Buffer.from("bad order").toString("base64"),
        });
      });

      test("a broker's dead-letter sink gets what its triggers name none for, and is tried as often", async () => {
        const { resources } = stack.store;
        const spec = { delivery: { retry: 2, deadLetterSink: { uri: other.url } } };
        await resources.put({ kind: "broker", namespace: NAMESPACE, name: "default", spec });
        await eventually("the broker is known", () =>
          stack.brokers.deliveryOf({ namespace: NAMESPACE, name: "default" }),
        );
        await declare("one", subscriber, {}, {});
        subscriber.answer = () => ({ status: 400 });
        other.answer = (_request, place) => ({ status: place < 2 ? 500 : 204 });
        const [id] = await stack.send();
        const { deliveries } = await stack.settled(id as string);
        expect(other.ids).toEqual([id, id, id]);
        expect(deliveries.map(({ state }) => state)).toEqual(["dead", "delivered"]);
      });

      test("an answer of 410 stops the trigger for good, also after a restart, until it is declared anew", async () => {
        await declare("one", subscriber, {}, { retry: 3 });
        subscriber.answer = () => ({ status: 410 });
        const [gone] = await stack.send();
        await stack.settled(gone as string);
        await eventually("the trigger has stopped", () => stack.open.triggers.all[0]?.stopped === "answered 410");
        const [skipped] = await stack.send();
        const { verdicts } = await stack.settled(skipped as string);
        expect(verdicts[0]).toMatchObject({ matched: false, reason: "the trigger has stopped: answered 410" });

        await stack.close();
        stack = await EventStack.open(place);
        await stack.engine.ready;
        expect(stack.open.triggers.all[0]?.stopped).toBe("answered 410");
        subscriber.answer = () => ({ status: 204 });
        await declare("one", subscriber, {}, { retry: 4 });
        const [again] = await stack.send();
        const { deliveries } = await stack.settled(again as string);
        expect(deliveries[0]?.state).toBe("delivered");
        expect(subscriber.received).toHaveLength(2);
      });

      test("… or removed and made anew", async () => {
        await declare("one", subscriber);
        subscriber.answer = (_request, place) => ({ status: place === 0 ? 410 : 204 });
        const [gone] = await stack.send();
        await stack.settled(gone as string);
        const { resources } = stack.store;
        await resources.remove({ kind: "trigger", namespace: NAMESPACE, name: "one" });
        await stack.open.refresh();
        await eventually("nothing of it is kept", async () => (await resources.list("health")).length === 0);
        await declare("one", subscriber);
        const [id] = await stack.send();
        expect((await stack.settled(id as string)).deliveries[0]?.state).toBe("delivered");
      });

      test("… or is told to go on", async () => {
        await declare("one", subscriber);
        subscriber.answer = (_request, place) => ({ status: place === 0 ? 410 : 204 });
        const [gone] = await stack.send();
        await stack.settled(gone as string);
        const [trigger] = stack.open.triggers.all;
        expect(await stack.open.triggers.resume(trigger?.id as string)).toBe(true);
        const [id] = await stack.send();
        expect((await stack.settled(id as string)).deliveries[0]?.state).toBe("delivered");
      });

      test("Retry-After is obeyed, and meanwhile nothing else is sent there", async () => {
        await declare("one", subscriber);
        subscriber.answer = (_request, place) =>
          place === 0 ? { status: 429, headers: { "retry-after": "1" } } : { status: 204 };
        const [first] = await stack.send();
        await eventually("it is told to wait", () => subscriber.received.length === 1);
        await eventually(
          "the answer is stored",
          async () => (await stack.record(first as string)).deliveries[0]?.tries === 1,
        );
        const [second] = await stack.send();
        await Promise.all([first, second].map((id) => stack.settled(id as string)));
        const [told, ...later] = subscriber.received;
        for (const { at } of later) expect(at - (told?.at ?? 0)).toBeGreaterThan(950);
        expect(later).toHaveLength(2);
      });
    });

    describe("order", () => {
      test("a poisoned event blocks its own key only", async () => {
        await declare("one", subscriber, { order: "partitionkey" }, { retry: 3, backoffDelay: "PT0.2S" });
        // It is tried for as long as the others need, however busy the machine is.
        const others = Promise.withResolvers<void>();
        subscriber.answer = async ({ headers }) => {
          if (headers["ce-poison"]) await others.promise;
          return { status: headers["ce-poison"] ? 500 : 204 };
        };
        const [poison] = await stack.send({ extra: { partitionkey: "a", poison: true } });
        const sameKey = await stack.send({ extra: { partitionkey: "a" } }, 3);
        const otherKey = await stack.send({ extra: { partitionkey: "b" } }, 3);
        const keyless = await stack.send({}, 3);
        await Promise.all([...otherKey, ...keyless].map((id) => stack.settled(id)));
        expect(subscriber.ids.filter((id) => sameKey.includes(id as string))).toEqual([]);
        others.resolve();
        await Promise.all(sameKey.map((id) => stack.settled(id)));
        const ofKey = subscriber.ids.filter((id) => id === poison || sameKey.includes(id as string));
        expect(ofKey).toEqual([poison, poison, poison, poison, ...sameKey]);
      });

      test("without order a poisoned event blocks nobody", async () => {
        await declare("one", subscriber, {}, { backoffDelay: "PT30S" });
        subscriber.answer = ({ headers }) => ({ status: headers["ce-poison"] ? 500 : 204 });
        await stack.send({ extra: { partitionkey: "a", poison: true } });
        const ids = await stack.send({ extra: { partitionkey: "a" } }, 5);
        await Promise.all(ids.map((id) => stack.settled(id)));
      });
    });

    describe("functions", () => {
      test("subscribe by annotation, and answer what they like", async () => {
        stack.functions.deploy("ship", { topic: "order.*" }, subscriber.url);
        subscriber.answer = () => ({ status: 200, body: "shipped" });
        await stack.engine.ready;
        const [id] = await stack.send();
        expect((await stack.settled(id as string)).deliveries[0]).toMatchObject({ state: "delivered", tries: 1 });
      });

      test("may come after the trigger that names them", async () => {
        await stack.declare("late", {
          subscriber: { function: "ship" },
          delivery: { ...QUICK, backoffDelay: "PT0.05S" },
        });
        const [id] = await stack.send();
        await eventually(
          "it was tried",
          async () => ((await stack.record(id as string)).deliveries[0]?.tries ?? 0) > 0,
        );
        stack.functions.deploy("ship", {}, subscriber.url);
        expect((await stack.settled(id as string)).deliveries[0]?.state).toBe("delivered");
      });

      test("with annotations that are not sound get nothing, and say why", async () => {
        stack.functions.deploy("ship", { topic: "order.*", "com.faaslane.events.order": "fifo" }, subscriber.url);
        await eventually("it is looked at", () => stack.open.triggers.all.length === 1);
        const [trigger] = stack.open.triggers.all;
        expect(trigger?.problem).toContain("com.faaslane.events.order: must be partitionkey or any");
        const [id] = await stack.send();
        const { verdicts } = await stack.settled(id as string);
        expect(verdicts[0]).toMatchObject({ matched: false });
        expect(verdicts[0]?.reason).toContain("com.faaslane.events.order");
      });

      test("that are removed get nothing more, and what waited for them is dropped after a while", async () => {
        await stack.close();
        stack = await EventStack.open(place, { graceMs: 200 });
        stack.functions.deploy("ship", { topic: "order.*", "com.faaslane.events.backoff-delay": "1h" }, subscriber.url);
        subscriber.answer = () => ({ status: 500 });
        await stack.engine.ready;
        const [waiting] = await stack.send();
        await eventually(
          "it was tried",
          async () => ((await stack.record(waiting as string)).deliveries[0]?.tries ?? 0) > 0,
        );
        stack.functions.remove("ship");
        await eventually("the trigger is gone", () => stack.open.triggers.all.length === 0);
        const { deliveries } = await stack.settled(waiting as string);
        expect(deliveries[0]).toMatchObject({ state: "dropped", reason: "its trigger is gone" });
        const [later] = await stack.send();
        expect((await stack.settled(later as string)).deliveries).toEqual([]);
      });

      test("nothing is routed before all functions are known", async () => {
        await stack.close();
        const { promise, resolve } = Promise.withResolvers<void>();
        const functions = new FakeFunctions();
        functions.whenSynced = promise;
        stack = await EventStack.open(place, {}, functions);
        const [id] = await stack.send();
        await stack.open.refresh();
        expect((await stack.record(id as string)).pending).toBe(true);
        functions.deploy("ship", { topic: "order.*" }, subscriber.url);
        resolve();
        expect((await stack.settled(id as string)).deliveries[0]?.state).toBe("delivered");
      });
    });
  });
}
