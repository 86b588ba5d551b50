// <gantry-table>: one list, live. The server sent its first rows as HTML and as data; from there the socket goes on.
import { render, type JSX } from "preact";
import { isTyping, readJson } from "../core/dom";
import { t } from "../core/i18n";
import { subscribe, type Subscription } from "../core/socket";
import { TableCell } from "./cells";
import { RowWindow, visible, windowFor } from "./model";
import type { Column, Initial, Rows } from "./protocol";

class GantryTable extends HTMLElement {
  private readonly model = new RowWindow();
  private columns: Column[] = [];
  private initial!: Initial;
  private sort = "";
  private filter = "";
  private problem = "";
  private held: [number, number] = [0, 0];
  private cursor = -1;
  private rowHeight = 38;
  private frame = 0;
  private typing = 0;
  private subscription: Subscription | null = null;
  private readonly emptyNode: Element | null = this.querySelector("[data-empty]");
  private body: HTMLElement | null = null;
  private readonly draw = (): void => {
    this.frame ||= requestAnimationFrame(() => {
      this.frame = 0;
      this.drawNow();
    });
  };
  private readonly keys = (event: KeyboardEvent): void => this.onKey(event);

  connectedCallback(): void {
    const initial = readJson<Initial>(this.querySelector("script[type='application/json']"));
    if (!initial || this.subscription) return;
    this.initial = initial;
    this.columns = initial.columns;
    this.sort = initial.sort;
    this.filter = initial.filter;
    this.model.reset(initial.rows, initial.total);
    this.body = this.querySelector("[data-body]");
    this.rowHeight = parseFloat(getComputedStyle(this).getPropertyValue("--row")) || 38;
    this.held = windowFor(0, Math.ceil(innerHeight / this.rowHeight));
    this.listen();
    if (this.body) this.body.textContent = "";
    this.drawNow();
    this.subscription = subscribe(this.dataset.view ?? "", this.params(), (message) => this.receive(message as unknown as Rows), {
      revision: 0,
      fromRevision: false,
    });
    addEventListener("scroll", this.draw, { passive: true });
    addEventListener("resize", this.draw, { passive: true });
    if (this.dataset.main !== undefined) document.addEventListener("keydown", this.keys);
  }

  disconnectedCallback(): void {
    this.subscription?.close();
    this.subscription = null;
    removeEventListener("scroll", this.draw);
    removeEventListener("resize", this.draw);
    document.removeEventListener("keydown", this.keys);
  }

  private params(): Record<string, unknown> {
    return { ...this.initial.params, filter: this.filter, sort: this.sort, start: this.held[0], count: this.held[1] };
  }

  private receive(message: Rows): void {
    if (message.type === "rows") {
      this.problem = "";
      this.model.apply(message);
    } else {
      this.problem = String((message as unknown as { message?: string }).message ?? "");
    }
    this.draw();
  }

  private ask(): void {
    this.held = windowFor(0, Math.ceil(innerHeight / this.rowHeight));
    this.cursor = -1;
    this.subscription?.update(this.params());
    this.rememberInAddress();
  }

  // The address always says what is shown, so it can be sent to someone.
  private rememberInAddress(): void {
    if (this.dataset.main === undefined) return;
    const address = new URL(location.href);
    for (const [name, value] of [["filter", this.filter], ["sort", this.sort]] as const) {
      if (value) address.searchParams.set(name, value);
      else address.searchParams.delete(name);
    }
    history.replaceState(history.state, "", address);
    this.querySelectorAll<HTMLAnchorElement>("a[data-csv]").forEach((link) => {
      link.href = `${address.pathname}.csv${address.search}`;
    });
  }

  private listen(): void {
    const input = this.querySelector<HTMLInputElement>("[data-filter]");
    if (!input) return;
    if (input.value !== this.filter && input.value) this.filter = input.value;
    input.form?.addEventListener("submit", (event) => event.preventDefault());
    input.addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = window.setTimeout(() => {
        this.filter = input.value.trim();
        this.ask();
      }, 110);
    });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") {
        if (input.value) {
          input.value = "";
          this.filter = "";
          this.ask();
        }
        input.blur();
      } else if (event.key === "ArrowDown" || event.key === "Enter") {
        event.preventDefault();
        input.blur();
        this.move(1);
      }
    });
  }

  private onKey(event: KeyboardEvent): void {
    if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "j") this.move(1);
    else if (event.key === "k") this.move(-1);
    else if (event.key === "Enter" && this.cursor >= 0 && document.activeElement === document.body) {
      const row = this.model.at(this.cursor);
      if (row?.h) location.assign(row.h);
    }
  }

  private move(step: number): void {
    if (!this.model.total) return;
    this.cursor = Math.min(this.model.total - 1, Math.max(0, this.cursor + step));
    const top = (this.body?.getBoundingClientRect().top ?? 0) + 34 + this.cursor * this.rowHeight;
    if (top < 110) scrollBy(0, top - 110);
    else if (top + this.rowHeight > innerHeight - 8) scrollBy(0, top + this.rowHeight - innerHeight + 8);
    this.draw();
  }

  private sortBy(column: Column): void {
    this.sort = this.sort === column.name ? `-${column.name}` : column.name;
    this.ask();
    this.draw();
  }

  private drawNow(): void {
    const body = this.body;
    if (!body) return;
    const total = this.model.total;
    const top = body.getBoundingClientRect().top + 34;
    const [first, last] = visible(top, innerHeight, this.rowHeight, total);
    const wanted = windowFor(first, last);
    if (wanted[0] < this.held[0] || last > this.held[0] + this.held[1] || wanted[0] - this.held[0] > 150) {
      this.held = wanted;
      this.subscription?.send({ type: "window", start: wanted[0], count: wanted[1] });
    }
    render(this.view(first, last), body);
    const count = this.querySelector("[data-total]");
    if (count) count.textContent = this.problem ? "" : total === 1 ? t("1 row") : t("{total} rows", { total });
  }

  private view(first: number, last: number): JSX.Element {
    if (this.problem) return <p class="empty compact" role="alert">{this.problem}</p>;
    if (!this.model.total) return this.empty();
    const columns = this.columns;
    const shown = columns.map((column, index) => ({ column, index })).filter(({ column }) => !column.hidden);
    const after = this.model.total - last;
    const rows: JSX.Element[] = [];
    for (let index = first; index < last; index++) {
      const row = this.model.at(index);
      if (!row) {
        rows.push(<tr key={`wait-${index}`} class="row"><td colSpan={shown.length}><div class="skeleton" /></td></tr>);
        continue;
      }
      const classes = ["row", index === this.cursor && "cursor", this.model.fresh.has(row.k) && "fresh"].filter(Boolean).join(" ");
      rows.push(
        <tr key={row.k} class={classes} aria-selected={index === this.cursor ? "true" : undefined}>
          {shown.map(({ column, index: at }) => <TableCell key={column.name} column={column} cell={row.c[at] ?? null} row={row} />)}
        </tr>,
      );
    }
    return (
      <table class="live-table" data-live-part aria-rowcount={this.model.total + 1}>
        <thead>
          <tr>{shown.map(({ column }) => this.head(column))}</tr>
        </thead>
        <tbody>
          {first > 0 && <Spacer key="before" height={first * this.rowHeight} columns={shown.length} />}
          {rows}
          {after > 0 && <Spacer key="after" height={after * this.rowHeight} columns={shown.length} />}
        </tbody>
      </table>
    );
  }

  private head(column: Column): JSX.Element {
    const sorted = this.sort.replace(/^-/, "") === column.name;
    const down = this.sort.startsWith("-");
    return (
      <th key={column.name} scope="col" class={`c-${column.type} p${column.priority}`} aria-sort={sorted ? (down ? "descending" : "ascending") : undefined}>
        <button type="button" onClick={() => this.sortBy(column)}>
          {column.title}
          <i class={`icon i-arrow-${sorted && down ? "down" : "up"}`} aria-hidden="true" />
        </button>
      </th>
    );
  }

  private empty(): JSX.Element {
    if (this.filter) {
      return (
        <div class="empty">
          <i class="icon i-search" aria-hidden="true" />
          <p>{t("Nothing matches “{filter}”.", { filter: this.filter })}</p>
          <div class="actions">
            <button class="button" type="button" onClick={() => this.clear()}>{t("Clear the filter")}</button>
          </div>
        </div>
      );
    }
    return <div ref={(element) => this.fillEmpty(element)} class="empty" />;
  }

  // The sentence and the next action of an empty list come from the server.
  private fillEmpty(element: HTMLElement | null): void {
    if (!element || !this.emptyNode || element.firstChild) return;
    element.append(...[...this.emptyNode.children].map((child) => child.cloneNode(true)));
  }

  private clear(): void {
    this.filter = "";
    const input = this.querySelector<HTMLInputElement>("[data-filter]");
    if (input) input.value = "";
    this.ask();
  }
}

function Spacer({ height, columns }: { height: number; columns: number }): JSX.Element {
  return (
    <tr class="spacer" aria-hidden="true">
      <td colSpan={columns} style={{ height: `${height}px` }} />
    </tr>
  );
}

export function defineTable(): void {
  customElements.define("gantry-table", GantryTable);
}

