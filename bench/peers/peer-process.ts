/** The parent's end of an engine's process: requests with a time limit, and what became of it. */
import { type ChildProcess, fork } from 'node:child_process';
import { homedir } from 'node:os';
import type { Reply, RequestName, Requests } from './protocol';

/** The engine's process died or hangs: it answers nothing any more. */
export class PeerGoneError extends Error {}

export interface Launch {
  readonly script: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/** Lines of stderr kept, to tell why a process ended. */
const LAST_WORDS = 5;
/** Vulkan's loader, asked by VK_LOADER_DEBUG, names the device that a program opens. */
const LOADER_LINE = /^\s*(\[Vulkan Loader\]|(DRIVER|LAYER|DEBUG|INFO|WARNING|ERROR)\b[^:]*:)/;
/** Stack traces and banners, and what Dawn says of every adapter. */
const NO_REASON = /^\s*(at |[{}^]|node:|Node\.js v|code:|requireStack|Warning: maxDynamic|$)/;
const OPENED_DEVICE = /Using "([^"]+)" with driver: "([^"]+)"/;

export class PeerProcess {
  readonly #child: ChildProcess;
  #gone: PeerGoneError | undefined;
  #nextId = 0;
  readonly #waiting = new Map<number, { resolve(reply: Reply): void; reject(error: Error): void }>();
  #rest = '';
  readonly #lastWords: string[] = [];
  readonly #openedDevices: string[] = [];

  constructor({ script, args, env }: Launch) {
    this.#child = fork(script, [...args], {
      env: { ...process.env, VK_LOADER_DEBUG: 'driver', ...env },
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      serialization: 'advanced',
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#hear(text));
    this.#child.on('message', (reply: Reply) => {
      this.#waiting.get(reply.id)?.resolve(reply);
      this.#waiting.delete(reply.id);
    });
    this.#child.on('error', (error) => this.#end(`it could not be started: ${error.message}`));
    // After `exit` its last words may still be on their way.
    this.#child.on('close', (code, signal) =>
      this.#end(`its process ended with ${signal ? `signal ${signal}` : `exit code ${code}`}`),
    );
  }

  get isGone(): boolean {
    return this.#gone !== undefined;
  }

  /** Vulkan devices that the process has opened, as the loader names them with their drivers; Linux alone tells. */
  get openedDevices(): readonly string[] {
    return this.#openedDevices;
  }

  /** @throws PeerGoneError when the process dies or exceeds the limit (it is killed then); Error what the engine says. */
  async request<Name extends RequestName>(
    name: Name,
    ask: Requests[Name]['ask'],
    limitMs: number,
  ): Promise<Requests[Name]['answer']> {
    if (this.#gone) throw this.#gone;
    const id = this.#nextId++;
    const reply = await new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#end(`it did not answer "${name}" within ${limitMs / 1000} s`);
        this.kill();
      }, limitMs);
      const settled =
        <T>(act: (value: T) => void) =>
        (value: T) => {
          clearTimeout(timer);
          act(value);
        };
      this.#waiting.set(id, { resolve: settled(resolve), reject: settled(reject) });
      this.#child.send({ id, name, ask }, (error) => {
        if (error) this.#end(`its process takes no message: ${error.message}`);
      });
    });
    if ('error' in reply) throw new Error(reply.error);
    return reply.answer as Requests[Name]['answer'];
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #end(why: string): void {
    const words = this.#lastWords.length > 0 ? ` ("${this.#lastWords.join(' / ')}")` : '';
    this.#gone ??= new PeerGoneError(`${why}${words}`);
    for (const { reject } of this.#waiting.values()) reject(this.#gone);
    this.#waiting.clear();
  }

  #hear(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const opened = OPENED_DEVICE.exec(line);
      if (opened) this.#openedDevices.push(`${opened[1]} (${opened[2]})`);
      if (opened || LOADER_LINE.test(line) || NO_REASON.test(line)) continue;
      // Records are shared: no path of this machine.
      const words = line.trim().replaceAll(process.cwd(), '.').replaceAll(homedir(), '~');
      this.#lastWords.push(words.slice(0, 200));
      if (this.#lastWords.length > LAST_WORDS) this.#lastWords.shift();
    }
  }
}
