import { describe, expect, test } from "@jest/globals";
import type { V1ContainerState, V1Deployment, V1DeploymentCondition, V1Pod } from "@kubernetes/client-node";
import { buildDeployment, withReplicas } from "../../../../provider/backends/kubernetes/resources/deployment.ts";
import { podProblem, readHopeless, readProblem } from "../../../../provider/backends/kubernetes/resources/problem.ts";
import { trimPod } from "../../../../provider/backends/kubernetes/resources/trim.ts";
import { around, deployment } from "./fixtures.ts";

interface Seen {
  readonly name?: string;
  readonly created?: string;
  readonly state?: V1ContainerState;
  readonly lastState?: V1ContainerState;
  readonly restartCount?: number;
  readonly ready?: boolean;
  readonly secrets?: boolean;
}

function pod({ name = "fn-1", created = "2026-11-21T00:00:00Z", secrets = false, ...container }: Seen = {}): V1Pod {
  const { state, lastState, restartCount = 0, ready = false } = container;
  const status = { name: "fn", image: "", imageID: "", ready, restartCount };
  return {
    metadata: { name, creationTimestamp: created as unknown as Date },
    spec: {
      containers: [{ name: "fn" }],
      ...(secrets && { volumes: [{ name: "s", projected: { sources: [{ secret: { name: "db" } }] } }] }),
    },
    status: {
      phase: "Running",
      containerStatuses: [{ ...status, ...(state && { state }), ...(lastState && { lastState }) }],
    },
  };
}

const waiting = (reason: string, message?: string) => ({ waiting: { reason, ...(message && { message }) } });
const ended = (exitCode: number, message?: string, reason = "Error", minutes = 0) => ({
  terminated: {
    exitCode,
    reason,
    ...(message && { message }),
    ...(minutes > 0 && {
      startedAt: new Date("2026-11-21T00:00:00Z"),
      finishedAt: new Date(Date.UTC(2026, 10, 21, 0, minutes)),
    }),
  },
});

const TRACE = `Traceback (most recent call last):
  File "index.py", line 3, in <module>
    import handler
ModuleNotFoundError: No module named 'numpy'
`;

test.each<[what: string, seen: Seen, message: string | undefined, lasting?: boolean]>([
  ["has no container yet", { state: waiting("ContainerCreating") }, undefined],
  ["is starting", { state: { running: {} } }, undefined],
  ["is ready", { state: { running: {} }, ready: true }, undefined],
  [
    "cannot pull its image",
    { state: waiting("ErrImagePull", 'failed to pull and unpack image "docker.io/acme/fn:2": not found') },
    'the image cannot be pulled: failed to pull and unpack image "docker.io/acme/fn:2": not found',
    true,
  ],
  [
    "waits before it pulls again",
    { state: waiting("ImagePullBackOff", 'Back-off pulling image "docker.io/acme/fn:2"') },
    'the image cannot be pulled: Back-off pulling image "docker.io/acme/fn:2"',
    true,
  ],
  ["has an image with no name", { state: waiting("InvalidImageName") }, "the image has no valid name", true],
  [
    "lacks a secret",
    { state: waiting("CreateContainerConfigError", 'secret "db" not found') },
    'the container cannot be configured: secret "db" not found',
    true,
  ],
  [
    "has crashed",
    { state: ended(1, TRACE) },
    "exited with code 1; last output: ModuleNotFoundError: No module named 'numpy'",
  ],
  [
    "crashes again and again",
    { state: waiting("CrashLoopBackOff", "back-off 10s"), lastState: ended(1, TRACE), restartCount: 2 },
    "exited with code 1, 2 restarts; last output: ModuleNotFoundError: No module named 'numpy'",
    true,
  ],
  [
    "runs for a while between two crashes",
    { state: { running: {} }, lastState: ended(3), restartCount: 1 },
    "exited with code 3, 1 restart",
  ],
  [
    "crashed after a long life, not for the first time",
    { state: ended(3, undefined, "Error", 11), restartCount: 7 },
    "exited with code 3, 7 restarts",
  ],
  [
    "crashed after a short life, not for the first time",
    { state: ended(3, undefined, "Error", 9), restartCount: 7 },
    "exited with code 3, 7 restarts",
    true,
  ],
  ["serves since a crash", { state: { running: {} }, lastState: ended(1), restartCount: 1, ready: true }, undefined],
  [
    "ran out of memory",
    { state: ended(137, undefined, "OOMKilled") },
    "was killed for using more memory than its limit",
  ],
  [
    "has no such program",
    { state: ended(128, 'exec: "nope": executable file not found in $PATH', "StartError"), restartCount: 1 },
    'cannot be started: exec: "nope": executable file not found in $PATH, 1 restart',
    true,
  ],
])("a pod that %s", (_what, seen, message, lasting = false) => {
  // Details stand behind a colon or a semicolon, and are not for everybody; how often it has happened is.
  const again = /, \d+ restarts?/.exec(message ?? "")?.[0] ?? "";
  const kind = `${message?.split(/[:;]/)[0]?.replace(again, "")}${again}`;
  const expected = message === undefined ? undefined : { kind, message, lasting };
  expect(podProblem(pod(seen))).toEqual(expected);
  expect(podProblem(trimPod(pod(seen)))).toEqual(expected);
});

describe("the output of a crash is not shown", () => {
  const crashed = { state: ended(1, "connecting with password hunter2: refused") };
  const silent = { kind: "exited with code 1", message: "exited with code 1", lasting: false };

  test("when the pod has secrets", () => {
    const it = pod({ ...crashed, secrets: true });
    expect(podProblem(it)).toEqual(silent);
    expect(podProblem(trimPod(it))).toEqual(silent);
  });

  test("when a variable comes from a secret", () => {
    const env = [{ name: "a", valueFrom: { secretKeyRef: { name: "db", key: "k" } } }];
    const it = { ...pod(crashed), spec: { containers: [{ name: "fn", env }] } };
    expect(podProblem(it)).toEqual(silent);
    expect(podProblem(trimPod(it))).toEqual(silent);
  });

  test("when nobody knows whether it has", () => {
    const { spec: _, ...it } = pod(crashed);
    expect(podProblem(it)).toEqual(silent);
    expect(podProblem(trimPod(it))).toEqual(silent);
  });
});

test("control characters and long messages do not reach people", () => {
  const message = `\u001b[31mred\r\n${"x".repeat(500)}`;
  expect(podProblem(pod({ state: waiting("CreateContainerError", message) }))?.message).toBe(
    `the container cannot be created: [31mred ${"x".repeat(192)}…`,
  );
});

const wanted = (replicas: number, conditions: V1DeploymentCondition[] = []): V1Deployment => ({
  ...withReplicas(buildDeployment(deployment(), around()), replicas),
  status: { conditions },
});

const unschedulable = (name: string): V1Pod => ({
  metadata: { name },
  status: {
    phase: "Pending",
    conditions: [
      {
        type: "PodScheduled",
        status: "False",
        reason: "Unschedulable",
        message: "0/1 nodes are available: 1 Insufficient cpu.",
      },
    ],
  },
});

test("values of variables that look like secrets are not quoted, nor those of URLs", () => {
  const envVars = { DB_PASSWORD: "hunter2!", DATABASE_URL: "postgres://app:s3cret@db/x" };
  const deployed = buildDeployment(deployment({ envVars }), around());
  const output = "Error: cannot reach postgres://app:s3cret@db/x with aHVudGVyMiE=, nor redis://:other@r";
  const crashed = pod({ state: ended(1, output), restartCount: 2 });
  expect(readProblem(deployed, [crashed])).toEqual({
    kind: "exited with code 1, 2 restarts",
    message: "exited with code 1, 2 restarts; last output: Error: cannot reach *** with ***=, nor redis://***@r",
    lasting: true,
  });
});

describe("a function", () => {
  test("that no node takes says so, but a node may still come", () => {
    expect(readProblem(wanted(1), [unschedulable("a")])).toEqual({
      kind: "no node can take it",
      message: "no node can take it: 0/1 nodes are available: 1 Insufficient cpu.",
      lasting: false,
    });
  });

  test("over its quota says so, without a single pod", () => {
    const message =
      'pods "fn-abc" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5';
    const conditions = [{ type: "ReplicaFailure", status: "True", reason: "FailedCreate", message }];
    const kind = "no pod can be made";
    expect(readProblem(wanted(1, conditions))).toEqual({ kind, message: `${kind}: ${message}`, lasting: true });
  });

  test("whose rollout takes too long says so", () => {
    const message = 'ReplicaSet "fn-abc" has timed out progressing.';
    const conditions = [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded", message }];
    expect(readProblem(wanted(1, conditions))).toEqual({
      kind: "replicas do not become ready",
      message: `replicas do not become ready: ${message}`,
      lasting: false,
    });
  });

  test("speaks of its newest pods first, and of what lasts before what may pass", () => {
    const old = pod({ name: "old", created: "2026-11-21T00:00:00Z", state: ended(1), restartCount: 2 });
    const young = pod({ name: "young", created: "2026-11-21T00:01:00Z", state: ended(2), restartCount: 2 });
    expect(readProblem(wanted(2), [old, young])?.message).toBe("exited with code 2, 2 restarts");
    expect(readProblem(wanted(2), [unschedulable("new"), old])?.message).toBe("exited with code 1, 2 restarts");
  });

  test("is not blamed for pods that are on their way out, nor while it sleeps", () => {
    const gone = pod({ state: ended(1) });
    const leaving = {
      ...gone,
      metadata: { ...gone.metadata, deletionTimestamp: "2026-11-21T00:00:00Z" as unknown as Date },
    };
    expect(readProblem(wanted(1), [leaving])).toBeUndefined();
    expect(readProblem(wanted(0), [gone])).toBeUndefined();
  });

  test("is hopeless only when each of its replicas is", () => {
    const crashing = pod({ name: "a", state: ended(1), restartCount: 2 });
    const restarting = pod({ name: "b", state: ended(1) });
    const starting = pod({ name: "c", state: { running: {} } });
    expect(readHopeless(wanted(1), [crashing])).toBe("exited with code 1, 2 restarts");
    expect(readHopeless(wanted(2), [crashing, restarting])).toBeUndefined();
    expect(readHopeless(wanted(2), [crashing, starting])).toBeUndefined();
    expect(readHopeless(wanted(1), [restarting])).toBeUndefined();
  });
});
