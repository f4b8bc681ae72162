/** One progress line on stderr: redrawn in place on a terminal, a line now and then anywhere else. */

export interface ProgressOptions {
  /** What is under way: the line's first word. */
  readonly label: string;
  /** Units in all; 0 when that is not known. */
  readonly total: number;
  /** `images`, for instance. `bytes` are shown as KiB, MiB, GiB. */
  readonly unit: string;
  /** Units that an earlier run did. */
  readonly initial?: number;
  /** Writes nothing at all. */
  readonly quiet?: boolean | undefined;
  /** Where to write (stderr unless told) and what time it is, ms: tests give their own. */
  readonly stream?: { write(text: string): unknown; isTTY?: boolean | undefined; columns?: number };
  readonly now?: () => number;
}

export interface ProgressBar {
  /** `done` units of `total` are finished, counted from the start. @param note stands at the line's end. */
  update(done: number, total?: number, note?: string): void;
  /** Draws the last state and ends the line. Further calls do nothing. */
  finish(): void;
}

const BAR = 24;
/** Shortest time between two drawings, ms. */
const REDRAW = 100;
const NEXT_LINE = 10_000;

export function progressBar(options: ProgressOptions): ProgressBar {
  const { label, unit, initial = 0, quiet = false, stream = process.stderr, now = Date.now } = options;
  const start = now();
  let { total } = options;
  let done = 0;
  let drawnAt = stream.isTTY ? Number.NEGATIVE_INFINITY : start;
  let note = '';
  let begun: { done: number; at: number } | undefined;
  let finished = false;

  const draw = (last: boolean) => {
    drawnAt = now();
    const line = describe(last);
    if (stream.isTTY)
      stream.write(`\r${line.slice(0, (stream.columns ?? 100) - 1)}\x1b[K${last ? '\n' : ''}`);
    else stream.write(`${line}\n`);
  };

  const describe = (last: boolean): string => {
    const share = total > 0 ? Math.min(1, done / total) : 0;
    const filled = Math.round(share * BAR);
    const amount = total > 0 ? `${count(done, unit)}/${count(total, unit)}` : count(done, unit);
    const parts = [`${amount}${unit === 'bytes' ? '' : ` ${unit}`}`];
    // What a resumed download had already is no speed: rates count from the first update on.
    const seconds = (drawnAt - (begun?.at ?? start)) / 1000;
    const rate = seconds > 0 ? (done - (begun?.done ?? 0)) / seconds : 0;
    if (rate > 0) parts.push(unit === 'bytes' ? `${count(rate, unit)}/s` : `${rate.toPrecision(3)}/s`);
    if (last) parts.push(duration((drawnAt - start) / 1000));
    else if (rate > 0 && total > done) parts.push(`${duration((total - done) / rate)} left`);
    if (note) parts.push(note);
    const bar = stream.isTTY && total > 0 ? `[${'#'.repeat(filled)}${'.'.repeat(BAR - filled)}]  ` : '';
    return `${label}  ${bar}${parts.join('  ')}`;
  };

  return {
    update(value, newTotal = total, newNote = '') {
      done = value;
      total = newTotal;
      note = newNote;
      const resumes = unit === 'bytes' || initial > 0;
      begun ??= { done: resumes ? value : 0, at: resumes ? now() : start };
      if (!quiet && !finished && now() - drawnAt >= (stream.isTTY ? REDRAW : NEXT_LINE)) draw(false);
    },
    finish() {
      if (!quiet && !finished) draw(true);
      finished = true;
    },
  };
}

function count(value: number, unit: string): string {
  return unit === 'bytes' ? formatBytes(value) : String(value);
}

/** 1536 -> "1.5 KiB". */
export function formatBytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let power = 0;
  let scaled = value;
  for (; scaled >= 1024 && power < units.length - 1; power++) scaled /= 1024;
  return `${power === 0 ? Math.round(scaled) : scaled.toFixed(1)} ${units[power]}`;
}

/** 75 -> "1 min 15 s". */
function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
