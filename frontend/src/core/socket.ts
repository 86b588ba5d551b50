// The page's one live connection, /ws. Subscriptions survive a lost connection: each is asked for again from the last
// revision it saw. Silence for longer than two of the server's pings counts as lost, so no page looks live when it is not.
import { signal } from "@preact/signals";

export type Connection = "connecting" | "live" | "lost";
export const connection = signal<Connection>("connecting");

export interface ServerMessage {
  type: string;
  id?: number;
  revision?: number;
  [field: string]: unknown;
}

export interface Subscription {
  update(params: Record<string, unknown>): void;
  send(message: Record<string, unknown>): void;
  close(): void;
}

interface Entry {
  view: string;
  params: Record<string, unknown>;
  revision: number;
  receive: (message: ServerMessage) => void;
  fromRevision: boolean;
}

const SILENCE = 45_000;
const entries = new Map<number, Entry>();
let socket: WebSocket | null = null;
let nextId = 1;
let failures = 0;
let retry = 0;
let watchdog = 0;
let leaving = false;

export function subscribe(
  view: string,
  params: Record<string, unknown>,
  receive: (message: ServerMessage) => void,
  options: { revision?: number; fromRevision?: boolean } = {},
): Subscription {
  const id = nextId++;
  const entry: Entry = { view, params, receive, revision: options.revision ?? 0, fromRevision: options.fromRevision ?? true };
  entries.set(id, entry);
  if (socket?.readyState === WebSocket.OPEN) ask(id, entry);
  else connect();
  return {
    update(changed) {
      entry.params = changed;
      entry.revision = 0;
      if (socket?.readyState === WebSocket.OPEN) ask(id, entry);
    },
    send(message) {
      transmit({ id, ...message });
    },
    close() {
      entries.delete(id);
      transmit({ type: "unsubscribe", id });
    },
  };
}

function ask(id: number, entry: Entry): void {
  transmit({
    type: "subscribe",
    id,
    view: entry.view,
    params: entry.params,
    from_revision: entry.fromRevision ? entry.revision : 0,
  });
}

function transmit(message: Record<string, unknown>): void {
  if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
}

function connect(): void {
  if (leaving || (socket && socket.readyState <= WebSocket.OPEN)) return;
  clearTimeout(retry);
  const fresh = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket = fresh;
  fresh.onopen = () => {
    failures = 0;
    connection.value = "live";
    heard();
    for (const [id, entry] of entries) ask(id, entry);
  };
  fresh.onmessage = (event: MessageEvent<string>) => {
    heard();
    receive(JSON.parse(event.data) as ServerMessage);
  };
  fresh.onclose = (event) => {
    if (socket !== fresh) return;
    socket = null;
    clearTimeout(watchdog);
    if (leaving) return;
    if (event.code === 4401) {
      const here = encodeURIComponent(location.pathname + location.search);
      location.assign(`/accounts/login/?next=${here}`);
      return;
    }
    connection.value = "lost";
    // Full jitter: a thousand tabs do not come back in the same instant after a restart.
    const ceiling = Math.min(8_000, 300 * 2 ** failures++);
    retry = window.setTimeout(connect, 100 + Math.random() * ceiling);
  };
}

function heard(): void {
  clearTimeout(watchdog);
  watchdog = window.setTimeout(() => socket?.close(), SILENCE);
}

function receive(message: ServerMessage): void {
  if (message.type === "ping") {
    transmit({ type: "pong" });
    return;
  }
  const entry = message.id === undefined ? undefined : entries.get(message.id);
  if (!entry) return;
  if (message.type === "behind") {
    // The server could not keep this subscription whole: ask for everything again.
    entry.revision = 0;
    ask(message.id as number, entry);
    return;
  }
  if (typeof message.revision === "number") entry.revision = message.revision;
  entry.receive(message);
}

export function reconnectNow(): void {
  failures = 0;
  connect();
}

addEventListener("online", reconnectNow);
addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible" && entries.size) reconnectNow();
});
addEventListener("pagehide", () => {
  leaving = true;
  socket?.close();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted) return;
  leaving = false;
  reconnectNow();
});
