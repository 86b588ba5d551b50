// What the server says about a list (apps/console/lists, apps/console/live).
export interface Column {
  name: string;
  title: string;
  type: "name" | "state" | "text" | "mono" | "number" | "age" | "ready" | "link" | "bar";
  priority: number;
  hidden: boolean;
}

export type Cell = string | number | null | (string | number)[];

export interface Row {
  k: string;
  h: string;
  c: Cell[];
}

export interface Rows {
  type: "rows";
  revision: number;
  start: number;
  keys: string[] | null;
  upsert: Row[];
  remove: string[];
  total: number;
}

export interface Initial {
  columns: Column[];
  rows: Row[];
  total: number;
  revision: number;
  sort: string;
  filter: string;
  params: Record<string, string>;
}
