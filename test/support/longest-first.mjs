import TestSequencer from "@jest/test-sequencer";

/**
 * Suites that wait for most of their time, longest first. Jest starts large files first where it knows no times, as in
 * a fresh clone; most of these are small, and would run alone at the end.
 */
const LONGEST = [
  "contracts/jetstream-queue",
  "gateway/queue/embedded/contract",
  "gateway/async-calls",
  "gateway/queue-worker",
  "gateway/scaling-routes",
  "gateway/queue/jetstream/workers",
  "deploy/containers",
  "gateway/any-provider",
  "gateway/async/queues",
  "gateway/proxy",
  "provider/local/replicas",
  "provider/kubernetes/operator",
  "provider/local/images",
  "provider/kubernetes/cold-start",
  "watchdog/call-orphans",
  "gateway/queue/jetstream/sweep",
  "provider/kubernetes/faults",
  "gateway/cluster/peers",
  "contracts/local-backend",
];

const placeOf = ({ path }) => LONGEST.findIndex((name) => path.includes(`/test/${name}.test.`));

export default class LongestFirst extends TestSequencer {
  sort(tests) {
    const sorted = super.sort(tests);
    const long = sorted.filter((test) => placeOf(test) !== -1).sort((a, b) => placeOf(a) - placeOf(b));
    return [...long, ...sorted.filter((test) => placeOf(test) === -1)];
  }
}
