/**
 * Builds the dashboard into `build/dashboard`: brotli beside every text file (the server sends it
 * as it is), and a build that fails above the limit on what a first visit loads.
 */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

const outDir = path.join(import.meta.dirname, '..', 'build', 'dashboard');
/** First load, compressed: page, code, styles and the two preloaded fonts, in bytes. */
const firstLoadLimitBytes = 250_000;

function compressAndMeasure(): Plugin {
  let folder = outDir;
  return {
    name: 'xim:compress',
    apply: 'build',
    configResolved(config) {
      folder = path.resolve(config.root, config.build.outDir);
    },
    closeBundle() {
      let total = 0;
      for (const name of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
        const file = path.join(folder, name);
        if (!statSync(file).isFile()) continue;
        if (!/\.(js|css|html|svg)$/.test(name)) {
          total += statSync(file).size;
          continue;
        }
        const packed = brotliCompressSync(readFileSync(file), {
          params: { [constants.BROTLI_PARAM_QUALITY]: 11 },
        });
        writeFileSync(`${file}.br`, packed);
        total += packed.length;
      }
      if (total > firstLoadLimitBytes) {
        throw new Error(`first load is ${total} bytes; at most ${firstLoadLimitBytes}`);
      }
    },
  };
}

export default defineConfig({
  base: '/ui/',
  root: import.meta.dirname,
  plugins: [react(), compressAndMeasure()],
  build: { outDir, emptyOutDir: true, target: 'es2022', assetsInlineLimit: 0 },
});
