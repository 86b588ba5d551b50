// Loads a live part only when its tag stands on the page. To add one: a folder with index.ts that calls
// customElements.define("gantry-<folder>", ...). The tag's content is the plain fallback that stands there until then.
const modules = import.meta.glob<unknown>("../{logs,terminal,editor,deploy,images,yaml}/index.{ts,tsx}");

const loaders = new Map<string, () => Promise<unknown>>();
for (const [path, load] of Object.entries(modules)) {
  const folder = /\.\.\/(\w+)\//.exec(path)?.[1];
  if (folder) loaders.set(`gantry-${folder}`, load);
}

export function startIslands(): void {
  scan();
  // Parts of a page that arrive later, such as another tab, may bring new tags.
  document.addEventListener("gantry:content", scan);
}

function scan(): void {
  for (const [tag, load] of loaders) {
    if (!document.querySelector(tag)) continue;
    loaders.delete(tag);
    void load();
  }
}
