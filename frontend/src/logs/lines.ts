// What the log view holds: the newest 100,000 lines, which of them the filter lets through, and at which row each begins.
// Nothing here knows the page, so it is tested by itself.
import { plainText } from "./ansi";

export interface LogRecord {
  n: number;
  t: string;
  s: string;
  x: string;
  p?: boolean;
  a: number;
}

export interface Line {
  time: string;
  stream: string;
  raw: string;
  plain: string;
  // A sentence of ours between the lines: skipped lines, a new run. No filter hides it.
  mark: boolean;
  open: boolean;
}

// Records that belong together are joined up to this; what is longer goes on in a line of its own.
const LONGEST = 65_536;

export function lineOf(record: LogRecord): Line {
  return { time: record.t, stream: record.s, raw: record.x, plain: plainText(record.x), mark: false, open: record.p === true };
}

export class Ring {
  private readonly store: Line[] = [];
  first = 0;
  next = 0;

  constructor(readonly capacity = 100_000) {}

  push(line: Line): void {
    this.store[this.next % this.capacity] = line;
    this.next++;
    if (this.next - this.first > this.capacity) this.first = this.next - this.capacity;
  }

  at(index: number): Line | undefined {
    return index < this.first || index >= this.next ? undefined : this.store[index % this.capacity];
  }

  // True when the record went on with the line before it.
  joined(record: LogRecord): boolean {
    const last = this.at(this.next - 1);
    if (!last?.open || last.stream !== record.s || last.raw.length + record.x.length > LONGEST) return false;
    last.raw += record.x;
    last.plain = plainText(last.raw);
    last.open = record.p === true;
    return true;
  }
}

export interface Search {
  keep(plain: string): boolean;
  // Where to highlight; null when the filter inverts.
  pattern: RegExp | null;
  problem: string;
}

// text | !text (lines without it) | /expression/
export function searchOf(query: string): Search {
  const inverted = query.startsWith("!") && query.length > 1;
  const text = inverted ? query.slice(1) : query;
  if (!text) return { keep: () => true, pattern: null, problem: "" };
  const expression = /^\/(.+)\/$/.exec(text)?.[1];
  let pattern: RegExp;
  try {
    pattern = new RegExp(expression ?? text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), "i");
  } catch (problem) {
    return { keep: () => true, pattern: null, problem: (problem as Error).message };
  }
  return { keep: (plain) => pattern.test(plain) !== inverted, pattern: inverted ? null : new RegExp(pattern.source, "gi"), problem: "" };
}

const ASCII = /^[\x20-\x7e]*$/;

export function cells(plain: string): number {
  if (ASCII.test(plain)) return plain.length;
  let count = 0;
  for (const character of plain) count += (character.codePointAt(0) ?? 0) >= 0x1100 ? 2 : 1;
  return count;
}

export class Shown {
  private index: number[] = [];
  private start: number[] = [];
  private head = 0;
  private end = 0;

  // columns 0: lines are not wrapped.
  constructor(
    private readonly ring: Ring,
    private readonly keep: (plain: string) => boolean,
    private readonly columns: number,
  ) {
    for (let at = ring.first; at < ring.next; at++) this.add(at);
  }

  add(at: number): boolean {
    const line = this.ring.at(at);
    if (!line || !(line.mark || this.keep(line.plain))) return false;
    this.index.push(at);
    this.start.push(this.end);
    this.end += this.columns ? Math.max(1, Math.ceil(cells(line.plain) / this.columns)) : 1;
    return true;
  }

  // The newest line has grown.
  again(at: number): void {
    if (this.index.length > this.head && this.index[this.index.length - 1] === at) {
      this.index.pop();
      this.end = this.start.pop() ?? 0;
    }
    this.add(at);
  }

  // Forget what the ring has forgotten; returns how many rows went.
  drop(): number {
    const before = this.base;
    while (this.head < this.index.length && (this.index[this.head] ?? 0) < this.ring.first) this.head++;
    const gone = this.base - before;
    if (this.head > 20_000) {
      this.index = this.index.slice(this.head);
      this.start = this.start.slice(this.head);
      this.head = 0;
    }
    return gone;
  }

  private get base(): number {
    return this.head < this.start.length ? (this.start[this.head] ?? 0) : this.end;
  }

  get count(): number {
    return this.index.length - this.head;
  }

  get rows(): number {
    return this.end - this.base;
  }

  // Lines that touch the rows from..to, and the row at which the first of them begins.
  window(from: number, to: number): { lines: number[]; row: number } {
    let low = this.head;
    let high = this.index.length;
    const wanted = from + this.base;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (middle < this.index.length && (this.start[middle] ?? 0) <= wanted) low = middle;
      else high = middle - 1;
    }
    const row = (this.start[low] ?? this.base) - this.base;
    const lines: number[] = [];
    for (let at = low; at < this.index.length && (this.start[at] ?? 0) - this.base < to; at++) lines.push(this.index[at] ?? 0);
    return { lines, row };
  }
}
