import { Worker } from "node:worker_threads";
import { memoryOf } from "../bench/memory.ts";
import { descriptorsOf, explainDescriptors } from "../support/descriptors.ts";
import { eventually } from "../support/eventually.ts";
import { descendants, isAlive } from "../support/platform.ts";
import type { ProbeReport } from "./probe.ts";

/** Longest that anybody else may have to wait for an answer. */
const MAX_GAP_MS = 1_000;
/** Heaps settle some 100 MB above where they began, the watchdogs' too; what goes on growing passes this in minutes. */
const MAX_GROWTH_MB = 250;
/** Connections that are kept for the next call. */
const SPARE_DESCRIPTORS = 40;
const SETTLES_WITHIN_MS = 45_000;

/** A process that takes hostile input. */
export interface Subject {
  readonly pid: number;
  /** All that it has written so far. */
  output(): string;
}

export interface Measured {
  readonly memoryMb: number;
  readonly descriptors: readonly string[];
  readonly processes: number;
}

/** What a process writes that is in trouble: it needs a person, or it did not foresee something. */
const TROUBLE = /"level":"(error|fatal)"|^\(node:\d+\)|^ +at |^node:|Uncaught|Unhandled/;

/** Whether all is well with a process, but for the input that it gets. */
export class Watch {
  readonly #subject: Subject;
  readonly #probe: Worker;
  #problem: string | undefined;
  #largestGapMs = 0;
  readonly #answers = new Map<string, string>();
  #read = 0;

  /**
   * @param urls answer 200 with the same text as long as the same process answers
   * @param helpers other processes that take part in the answers
   */
  constructor(subject: Subject, urls: readonly string[], helpers: readonly number[] = []) {
    this.#subject = subject;
    this.#probe = new Worker(new URL("./probe.ts", import.meta.url), {
      workerData: { pids: [subject.pid, ...helpers], urls },
    });
    this.#probe.on("message", (report: ProbeReport) => this.#judge(report));
    this.#probe.on("error", (error) => this.#note(`the probe failed: ${error.stack}`));
  }

  /** The first thing that went wrong. */
  get problem(): string | undefined {
    if (!isAlive(this.#subject.pid)) this.#problem = `the process has ended:\n${this.#subject.output().slice(-4000)}`;
    this.#readLog();
    return this.#problem;
  }

  /** Since the last time it was asked for, in milliseconds. */
  takeLargestGap(): number {
    const gap = this.#largestGapMs;
    this.#largestGapMs = 0;
    return gap;
  }

  async measure(): Promise<Measured> {
    const { pid } = this.#subject;
    const [memory, descriptors, children] = await Promise.all([memoryOf(pid), descriptorsOf(pid), descendants(pid)]);
    return { memoryMb: memory.pss, descriptors, processes: children.length };
  }

  /** Until what the load has taken is given back. @throws when it is not */
  async settled(before: Measured): Promise<Measured> {
    let now = before;
    const settle = async () => {
      now = await this.measure();
      return (
        now.descriptors.length <= before.descriptors.length + SPARE_DESCRIPTORS && now.processes <= before.processes
      );
    };
    await eventually("descriptors and processes are given back", settle, SETTLES_WITHIN_MS, 200).catch(
      async (error: Error) => {
        throw new Error(`${error.message}: ${await this.#explain(before, now)}`);
      },
    );
    const growth = now.memoryMb - before.memoryMb;
    if (growth > MAX_GROWTH_MB) throw new Error(`memory has grown by ${growth.toFixed(0)} MB`);
    return now;
  }

  async #explain(before: Measured, now: Measured): Promise<string> {
    const added = now.descriptors.filter((link) => !before.descriptors.includes(link));
    const { pid } = this.#subject;
    return `${before.descriptors.length} → ${now.descriptors.length} descriptors, ${before.processes} → ${now.processes} processes: ${(await explainDescriptors(pid, added)).join("; ")}`;
  }

  async close(): Promise<void> {
    await this.#probe.terminate();
  }

  #judge({ url, ms, problem, text = "" }: ProbeReport): void {
    this.#largestGapMs = Math.max(this.#largestGapMs, ms);
    if (problem !== undefined) this.#note(`${url} failed: ${problem}\n${this.#subject.output().slice(-2000)}`);
    if (ms > MAX_GAP_MS) this.#note(`${url} was answered after ${ms.toFixed(0)} ms`);
    const known = this.#answers.get(url);
    if (known !== undefined && known !== text) this.#note(`${url} is another process now: ${known}, then ${text}`);
    this.#answers.set(url, text);
  }

  #note(problem: string): void {
    this.#problem ??= problem;
  }

  #readLog(): void {
    const output = this.#subject.output();
    const end = output.lastIndexOf("\n") + 1;
    if (end <= this.#read) return;
    const lines = output.slice(this.#read, end).split("\n");
    this.#read = end;
    const at = lines.findIndex((line) => TROUBLE.test(line));
    if (at >= 0)
      this.#note(
        `it says: ${lines
          .slice(at, at + 20)
          .join("\n")
          .slice(0, 4000)}`,
      );
  }
}
