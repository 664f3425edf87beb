import type { EmbeddedEvents } from "../../../events/store/embedded/index.ts";
import type { EventStore } from "../../../events/store/event-store.ts";
import type { ResourceStore } from "../../../events/store/resource-store.ts";
import { eventually } from "../eventually.ts";
import { FlowBench, type TestFunction } from "./flow-bench.ts";

/**
 * A process that runs a flow of three functions, which are elsewhere: `FOLDER URL NUMBER`. It brings all earlier runs to their end,
 * starts run number NUMBER, and kills itself at as many points on the way of that one; past its end it ends by itself.
 */
const [folder = "", url = "", number = ""] = process.argv.slice(2);

let counts = false;
let points = 0;
/** Somewhere on the way. */
function point(): void {
  if (counts && ++points === Number(number)) process.kill(process.pid, "SIGKILL");
}

async function through<T>(work: () => Promise<T>): Promise<T> {
  point();
  const value = await work();
  point();
  return value;
}

function between({ events, resources, close }: EmbeddedEvents): EmbeddedEvents {
  const pointed = <T extends object>(target: T, own: Partial<T>): T =>
    new Proxy(target, {
      get: (on, name) => {
        const value = Reflect.get(own, name) ?? Reflect.get(on, name, on);
        return typeof value === "function" ? value.bind(on) : value;
      },
    });
  return {
    events: pointed<EventStore>(events, {
      append: (all) => through(() => events.append(all)),
      consume: (route, deliver, options) =>
        events.consume(
          (arrived) => through(() => route(arrived)),
          (delivery, signal) => through(() => deliver(delivery, signal)),
          options,
        ),
    }),
    resources: pointed<ResourceStore>(resources, {
      put: (resource, expected) => through(() => resources.put(resource, expected)),
    }),
    close,
  };
}

const call: TestFunction = ({ name, headers, text }) =>
  through(async () => {
    const asked = { "x-flow-run": "", "x-flow-step": "", "x-flow-attempt": "" };
    const own = Object.keys(asked).map((header) => [header, headers[header] ?? ""] as const);
    const answer = await fetch(`${url}${name}`, { method: "POST", headers: Object.fromEntries(own), body: text });
    return await answer.text();
  });

const bench = await FlowBench.open({ folder, between, functions: { first: call, second: call, third: call } });
const ended = (count: number) =>
  eventually(
    "all runs have ended",
    async () => {
      const runs = await bench.all();
      return runs.length >= count && runs.every(({ state }) => state !== "running");
    },
    60_000,
  );

if (number === "1") {
  await bench.declare("three", {
    broker: "default",
    steps: ["first", "second", "third"].map((name) => ({ name, function: name })),
  });
}
// One that was killed may not have come so far as to start its own.
for (let run = 1; run < Number(number); run++) await bench.send({ run }, {}, "default", `run-${run}`);
await ended(Number(number) - 1);
counts = true;
await bench.send({ run: Number(number) }, {}, "default", `run-${number}`);
await ended(Number(number));
await bench.close();
process.exit(0);
