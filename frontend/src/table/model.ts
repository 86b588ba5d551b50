// The rows a table holds: a window of the server's ordered list. Pure, so that it can be tested without a page.
import type { Row, Rows } from "./protocol";

export class RowWindow {
  rows = new Map<string, Row>();
  keys: string[] = [];
  start = 0;
  total = 0;
  fresh = new Set<string>();

  reset(rows: Row[], total: number): void {
    this.rows = new Map(rows.map((row) => [row.k, row]));
    this.keys = rows.map((row) => row.k);
    this.start = 0;
    this.total = total;
  }

  apply(message: Rows): void {
    this.fresh = new Set();
    const known = this.rows.size > 0;
    for (const row of message.upsert) {
      if (known && !this.rows.has(row.k) && message.start === this.start) this.fresh.add(row.k);
      this.rows.set(row.k, row);
    }
    for (const key of message.remove) this.rows.delete(key);
    if (message.keys) {
      this.keys = message.keys;
      // Only what the server counts as sent may be kept, or a later change to it would not come.
      const wanted = new Set(message.keys);
      for (const key of this.rows.keys()) if (!wanted.has(key)) this.rows.delete(key);
    }
    this.start = message.start;
    this.total = message.total;
    // A whole screenful of new rows is a scroll or a new filter, not news.
    if (this.fresh.size > 12) this.fresh.clear();
  }

  at(index: number): Row | undefined {
    const key = this.keys[index - this.start];
    return key === undefined ? undefined : this.rows.get(key);
  }
}

// The rows to draw and the rows to hold, from where the table stands in the window.
export function visible(top: number, height: number, rowHeight: number, total: number): [number, number] {
  const overscan = 6;
  const first = Math.max(0, Math.floor(-top / rowHeight) - overscan);
  const count = Math.min(72, Math.ceil(height / rowHeight) + 2 * overscan);
  const from = Math.min(first, Math.max(0, total - count));
  return [from, Math.min(total, from + count)];
}

export function windowFor(first: number, last: number): [number, number] {
  const start = Math.max(0, Math.floor((first - 60) / 50) * 50);
  return [start, Math.ceil((last + 60 - start) / 50) * 50];
}
