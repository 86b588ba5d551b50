// A cell by its column's type; apps/console/templatetags/console.py draws the same for the first HTML.
import type { JSX } from "preact";
import { ageOf, exactTime } from "../core/time";
import type { Cell, Column, Row } from "./protocol";

export function TableCell({ column, cell, row }: { column: Column; cell: Cell; row: Row }): JSX.Element {
  return <td class={`c-${column.type} p${column.priority}`}>{content(column, cell, row)}</td>;
}

function content(column: Column, cell: Cell, row: Row): JSX.Element | string | number | null {
  if (cell === null || cell === "") return null;
  if (Array.isArray(cell)) return compound(column, cell);
  if (column.type === "name") return row.h ? <a href={row.h}>{cell}</a> : cell;
  if (column.type === "age") {
    return (
      <time data-age datetime={String(cell)} title={exactTime(String(cell))}>
        {ageOf(String(cell))}
      </time>
    );
  }
  if (column.type === "text" || column.type === "mono") return <span title={String(cell)}>{cell}</span>;
  return cell;
}

function compound(column: Column, cell: (string | number)[]): JSX.Element | string {
  const [first, second, third] = cell;
  if (column.type === "state") {
    return (
      <span class={`state ${first}`} title={third === undefined ? undefined : String(third)}>
        <span>{second}</span>
      </span>
    );
  }
  if (column.type === "link") return second ? <a href={String(second)}>{first}</a> : String(first);
  if (column.type === "bar") {
    return (
      <span class="cell-bar">
        <progress class={Number(first) > 0.85 ? "bar high" : "bar"} max="1" value={Number(first)} aria-label={String(second)} />
        <span>{second}</span>
      </span>
    );
  }
  return `${first}/${second}`;
}
