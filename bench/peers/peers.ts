/** Times the same work by several engines, each in a process of its own, in turns; a result unlike ours gets no time. */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterNames } from '../../src/runtime/adapter';
import type { Precision } from '../../src/runtime/device';
import { interleave } from '../measure';
import { type Ceilings, CHOSEN, type Checked, type Floor, type LeftOut, type Row, rowOf } from '../record';
import { median } from '../stats';
import { relativeError, sampledGemmError, toleranceOf } from './agreement';
import type { EngineInfo, Placement, Task } from './engine';
import { type Launch, PeerGoneError, PeerProcess } from './peer-process';
import type { PrepareAnswer, PrepareRequest } from './protocol';
import { type WeightsIndex, writeWeights } from './weights-file';
import { type BlockWork, nameOf, type Work } from './workloads';

export interface PeersOptions {
  /** By name; the first is ours, which all others are compared with. */
  readonly engines: Readonly<Record<string, Launch>>;
  readonly works: readonly Work[];
  readonly dtypes: readonly Precision[];
  /** Time for each engine and work, ms. */
  readonly budgetMs: number;
  /** Time that an engine has for one answer, ms. */
  readonly limitMs: number;
  /** A folder for weights and results, which may be gigabytes; the caller removes it. */
  readonly scratch: string;
  readonly ceilings?: Ceilings;
  /** Called when an engine is done with a work. */
  readonly onDone?: () => void;
}

export interface PeersResult {
  readonly rows: Row[];
  readonly skipped: LeftOut[];
  readonly failed: LeftOut[];
  readonly notes: string[];
  /** Of the other engines that were opened. */
  readonly versions: Readonly<Record<string, string>>;
  /** What all engines' processes have computed, at least, s of CPU time. */
  readonly cpuS: number;
}

export const SUITE = 'peers';

/** Work that one run should hold, so that starting it does not count, ms. */
const TARGET_MS = 30;
const MOST_REPEATS = 512;
/** Deaths and time-outs that an engine survives. */
const MOST_STRIKES = 2;
/** Runs of a whole tower, which may take half a minute. */
const LEAST_TOWER_RUNS = 1;

/** An engine and its process, which is started anew when it died. */
class Peer {
  #process: PeerProcess | undefined;
  #strikes = 0;
  #info: EngineInfo | undefined;
  /** CPU time of this process and of those before it. */
  #cpuMs = 0;
  #earlierCpuMs = 0;
  /** Of its ways, those that have computed wrongly. */
  readonly wrongWays = new Set<string>();
  /** Its ways were compared in f32, or it has but one. */
  isJudged = false;
  /** What it has told of its models' nodes. */
  readonly placements: Placement[] = [];
  /** Why it is not used any more. */
  refused: string | undefined;

  constructor(
    readonly name: string,
    readonly launch: Launch,
    readonly limitMs: number,
  ) {}

  get info(): EngineInfo | undefined {
    return this.#info;
  }

  get device(): string | undefined {
    return this.#process?.openedDevices.at(-1);
  }

  /** As far as it was told. */
  get cpuMs(): number {
    return this.#earlierCpuMs + this.#cpuMs;
  }

  async open(): Promise<EngineInfo> {
    if (this.#process && !this.#process.isGone) return this.#info!;
    this.#earlierCpuMs = this.cpuMs;
    this.#cpuMs = 0;
    this.#process = new PeerProcess(this.launch);
    return this.watched(async (process) => {
      this.#info = await process.request('open', {}, this.limitMs);
      return this.#info;
    });
  }

  /** Counts how often the process is lost. */
  async watched<T>(act: (process: PeerProcess) => Promise<T>): Promise<T> {
    try {
      return await act(this.#process!);
    } catch (error) {
      if (error instanceof PeerGoneError && ++this.#strikes >= MOST_STRIKES)
        this.refused = `given up after ${this.#strikes} losses of its process`;
      throw error;
    }
  }

  async release(): Promise<void> {
    if (!this.#process || this.#process.isGone) return;
    const answer = await this.watched((process) => process.request('release', {}, this.limitMs));
    this.#cpuMs = answer.wholeCpuMs;
  }

  close(): void {
    this.#process?.kill();
  }
}

interface Ready {
  readonly peer: Peer;
  readonly answer: PrepareAnswer;
  readonly error: number;
  /** Which of its ways. */
  readonly variant: string;
  readonly cpu: number[];
  broken?: string;
}

export async function benchPeers(options: PeersOptions): Promise<PeersResult> {
  const { engines, works, dtypes, limitMs } = options;
  const peers = Object.entries(engines).map(([name, launch]) => new Peer(name, launch, limitMs));
  const out: PeersResult & { versions: Record<string, string> } = {
    rows: [],
    skipped: [],
    failed: [],
    notes: [],
    versions: {},
    cpuS: 0,
  };
  const weights = new Map<string, WeightsIndex>();
  try {
    for (const work of works)
      for (const dtype of dtypes) {
        const first = judgeOf(work, dtype, peers);
        if (first) await new Round(options, peers, first, 'f32', out, weights).judge();
        await new Round(options, peers, work, dtype, out, weights).run();
      }
  } finally {
    for (const peer of peers) peer.close();
  }
  for (const { name, info } of peers.slice(1)) if (info) out.versions[name] = info.version;
  for (const { name, info } of peers) if (info?.note) out.notes.push(`${name}: ${info.note}.`);
  for (const { name, placements } of peers)
    if (placements.length > 0) out.notes.push(placed(name, placements));
  const untold = peers.slice(1).filter((peer) => peer.info && deviceOf(peer) === undefined);
  if (untold.length > 0)
    out.notes.push(
      `${untold.map(({ name }) => name).join(', ')}: which device it used could not be told here.`,
    );
  return { ...out, cpuS: peers.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / 1000 };
}

/**
 * A block in f32 that shows which of an engine's ways are right, where only f16 is asked for: there rounding may hide what is wrong.
 * Undefined when nothing is left to be shown.
 */
function judgeOf(work: Work, dtype: Precision, peers: readonly Peer[]): BlockWork | undefined {
  if (work.kind === 'gemm' || dtype === 'f32') return undefined;
  if (peers.every((peer) => peer === peers[0] || peer.isJudged)) return undefined;
  const { model, imageSize } = work;
  return { kind: 'block', model, imageSize, batch: 1 };
}

function placed(name: string, placements: readonly Placement[]): string {
  const nodes = placements.map((one) => one.nodes);
  const [least, most] = [Math.min(...nodes), Math.max(...nodes)];
  const backends = [...new Set(placements.map(({ backend }) => backend))].join(', ');
  const models = placements.length === 1 ? 'its one model' : `each of its ${placements.length} models`;
  return `${name}: by its own profile, all nodes of ${models} (${least === most ? most : `${least} to ${most}`}) ran on ${backends}.`;
}

/** One work in one storage type by all engines. */
class Round {
  readonly #case: string;

  constructor(
    private readonly options: PeersOptions,
    private readonly peers: readonly Peer[],
    private readonly work: Work,
    private readonly dtype: Precision,
    private readonly out: PeersResult,
    private readonly weights: Map<string, WeightsIndex>,
  ) {
    this.#case = nameOf(work);
  }

  async run(): Promise<void> {
    const { budgetMs, onDone } = this.options;
    const [ours] = this.peers as [Peer, ...Peer[]];
    const weights = this.peers.length > 1 ? await this.#weights() : undefined;
    const task: Task = { work: this.work, dtype: this.dtype, ...(weights && { weights }) };
    const ready: Ready[] = [];
    try {
      let reference: Float32Array | undefined;
      for (const peer of this.peers) {
        const one = await this.#prepare(peer, task, reference, ours);
        if (one) ready.push({ peer, ...one, cpu: [] });
        if (peer === ours) reference = one?.result;
        onDone?.();
      }
      const times = await interleave(
        ready.map((one) => ({ sample: () => this.#sample(one) })),
        { budgetMs, ...(this.work.kind === 'tower' && { minRuns: LEAST_TOWER_RUNS }), onDone },
      );
      const floor = ready.find(({ peer }) => peer === ours)?.answer.floor;
      for (const [i, one] of ready.entries()) {
        if (one.broken) this.#fail(one.peer, one.broken);
        else this.out.rows.push(this.#row(one, times[i]!, floor!));
      }
    } finally {
      await this.#release(ready.map(({ peer }) => peer));
    }
  }

  async #release(peers: readonly Peer[]): Promise<void> {
    for (const peer of peers) await peer.release().catch((error) => this.#fail(peer, String(error)));
  }

  /** Tries each engine's ways and times nothing. Engines with one way take no part. */
  async judge(): Promise<void> {
    const [ours] = this.peers as [Peer, ...Peer[]];
    const several: Peer[] = [];
    for (const peer of this.peers.slice(1)) {
      const ways = peer.refused ? [] : ((await peer.open().catch(() => undefined))?.ways ?? []);
      peer.isJudged = true;
      if (ways.length > 1) several.push(peer);
    }
    if (several.length === 0) return;
    const weights = await this.#weights();
    const task: Task = { work: this.work, dtype: this.dtype, ...(weights && { weights }) };
    const reference = (await this.#prepare(ours, task, undefined, ours))?.result;
    for (const peer of several) await this.#prepare(peer, task, reference, ours);
    await this.#release([ours, ...several]);
  }

  /** Written once for all batches. */
  async #weights(): Promise<WeightsIndex | undefined> {
    const { work, dtype } = this;
    if (work.kind === 'gemm') return undefined;
    const layers = work.kind === 'tower' && work.layers ? `-${work.layers}` : '';
    const name = `${work.kind}-${work.model}-${work.imageSize}${layers}-${dtype}.bin`;
    let index = this.weights.get(name);
    if (!index) {
      index = await writeWeights(join(this.options.scratch, name), work, dtype);
      this.weights.set(name, index);
    }
    return index;
  }

  async #prepare(peer: Peer, task: Task, reference: Float32Array | undefined, ours: Peer) {
    const isOurs = peer === ours;
    if (peer.refused) return this.#skip(peer, peer.refused);
    if (!isOurs && !reference) return this.#skip(peer, 'there is no result of ours to compare with');
    try {
      const { dtypes, ways = [CHOSEN] } = await peer.open();
      if (this.work.kind !== 'gemm' && this.dtype === 'f32') peer.isJudged = true;
      if (!dtypes.includes(this.dtype))
        return this.#skip(peer, `it has no ${this.dtype}`, `all in ${this.dtype}`);
      for (const [way, name] of ways.entries()) {
        if (peer.wrongWays.has(name)) continue;
        const { answer, result } = await this.#compute(peer, { ...task, way });
        const elsewhere = isOurs ? undefined : otherDevice(ours, peer);
        if (elsewhere) {
          peer.refused = elsewhere;
          return this.#fail(peer, elsewhere);
        }
        const error = this.#errorOf(result, reference);
        const most = toleranceOf(this.work, this.dtype);
        const wrong = error > most;
        if (!wrong) {
          if (answer.placement) peer.placements.push(answer.placement);
          return { answer, result, error, variant: way === 0 ? CHOSEN : name };
        }
        const than = isOurs ? 'the float64 reference' : 'our result';
        const isLast = this.work.kind === 'gemm' || way === ways.length - 1;
        const what = `differs from ${than} by ${error.toPrecision(4)} of its largest value; ${most.toPrecision(2)} may be`;
        if (isLast) return this.#fail(peer, `wrong: it ${what}.`);
        // What f32 has shown to be wrong may hide in the rounding of f16.
        peer.wrongWays.add(name);
        this.#fail(peer, `wrong by ${name}, which ${what}; timed by ${ways[way + 1]} instead.`);
      }
      return undefined;
    } catch (error) {
      return this.#fail(peer, error instanceof Error ? error.message : String(error));
    }
  }

  async #compute(peer: Peer, task: Task) {
    const resultPath = join(this.options.scratch, 'result.f32');
    const request: PrepareRequest = {
      task,
      resultPath,
      targetMs: TARGET_MS,
      mostRepeats: this.work.kind === 'tower' ? 1 : MOST_REPEATS,
    };
    try {
      const answer = await peer.watched((process) =>
        process.request('prepare', request, this.options.limitMs),
      );
      const bytes = await readFile(resultPath);
      return { answer, result: new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4) };
    } finally {
      await rm(resultPath, { force: true });
    }
  }

  /** Against our result; ours against float64 sums, or, of a model, for NaN and infinity alone. */
  #errorOf(result: Float32Array, reference: Float32Array | undefined): number {
    if (reference) return relativeError(result, reference);
    return this.work.kind === 'gemm' ? sampledGemmError(result, this.work) : relativeError(result, result);
  }

  async #sample(one: Ready): Promise<number> {
    try {
      const { ms, cpuMs } = await one.peer.watched((process) =>
        process.request('sample', {}, this.options.limitMs),
      );
      one.cpu.push(cpuMs);
      return ms;
    } catch (error) {
      one.broken = error instanceof Error ? error.message : String(error);
      return Number.NaN;
    }
  }

  #row({ peer, variant, cpu, error }: Ready, ms: readonly number[], floor: Floor): Row {
    const isOurs = peer === this.peers[0];
    const checked: Checked | undefined = !isOurs
      ? 'against mla-lp'
      : this.work.kind === 'gemm'
        ? 'this case'
        : undefined;
    const batch = this.work.kind === 'tower' ? this.work.batch : undefined;
    const row = {
      suite: SUITE,
      case: this.#case,
      engine: peer.name,
      variant,
      dtype: this.dtype,
      floor,
      cpuMs: median(cpu),
      ...(checked && { checked }),
      ...(!isOurs && { relativeError: error }),
      ...(batch && { imagesPerS: (1000 * batch) / median(ms) }),
    } as const;
    return rowOf(row, ms, this.options.ceilings);
  }

  /** Tells it once. @param what is left out; this work without it. */
  #skip(peer: Peer, reason: string, what?: string): undefined {
    const one = { ...this.#leftOut(peer, reason), ...(what && { case: what }) };
    const told = this.out.skipped.some((other) => other.case === one.case && other.variant === one.variant);
    if (!told) this.out.skipped.push(one);
  }

  #fail(peer: Peer, reason: string): undefined {
    this.out.failed.push(this.#leftOut(peer, reason));
  }

  #leftOut({ name }: Peer, reason: string): LeftOut {
    return { suite: SUITE, case: `${this.#case} ${this.dtype}`, variant: name, reason };
  }
}

/** What a peer computes on, by the Vulkan loader's word or its own. */
function deviceOf({ device, info }: Peer): string | undefined {
  return device ?? (info?.adapter && describe(info.adapter));
}

function describe({ vendor, architecture, device, description }: AdapterNames): string {
  return [vendor, architecture, device, description].filter(Boolean).join(', ');
}

/** What to say when a peer computes on another device than we do; undefined when it is ours or nobody can tell. */
function otherDevice(ours: Peer, peer: Peer): string | undefined {
  const say = (theirs: string, own: string) =>
    `it computes on another device: ${theirs}; mla-lp on ${own}. Hide the others from it (VK_DRIVER_FILES on Linux).`;
  if (ours.device && peer.device && ours.device !== peer.device) return say(peer.device, ours.device);
  const [theirs, own] = [peer.info?.adapter, ours.info?.adapter];
  if (theirs && own && describe(theirs) !== describe(own)) return say(describe(theirs), describe(own));
  return undefined;
}
