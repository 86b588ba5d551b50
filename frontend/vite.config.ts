// Builds the console's scripts and styles into static/build, which Django serves (settings.DJANGO_VITE reads the manifest).
import { createReadStream, createWriteStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { constants, createBrotliCompress, createGzip } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

const output = join(import.meta.dirname, "../static/build");

// WhiteNoise serves `name.br` and `name.gz` beside `name` when they exist, so nothing is compressed per request.
function compress(): Plugin {
  return {
    name: "gantry-compress",
    apply: "build",
    async closeBundle() {
      const files = await readdir(output, { recursive: true });
      await Promise.all(
        files
          .filter((file) => /\.(js|css|svg|json)$/.test(file))
          .flatMap((file) => {
            const path = join(output, file);
            const brotli = createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 11 } });
            return [
              pipeline(createReadStream(path), createGzip({ level: 9 }), createWriteStream(`${path}.gz`)),
              pipeline(createReadStream(path), brotli, createWriteStream(`${path}.br`)),
            ];
          }),
      );
    },
  };
}

// One file for what every page has, however many of the parts loaded on demand share pieces of it.
const onEveryPage = /preload-helper|node_modules.@?preact|src.core.(api|dom|i18n|toast|socket|dialog)\.ts/;

export default defineConfig({
  base: "/static/build/",
  publicDir: false,
  build: {
    outDir: output,
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    assetsInlineLimit: (file) => file.endsWith(".svg"),
    modulePreload: { polyfill: false },
    rollupOptions: {
      input: { console: join(import.meta.dirname, "src/main.ts") },
      output: { codeSplitting: { groups: [{ name: "base", test: onEveryPage }] } },
    },
  },
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  plugins: [compress()],
});
