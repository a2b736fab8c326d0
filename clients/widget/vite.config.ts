// Builds the widget into clients/dist/widget: widget.js for a script tag, widget.mjs for import, and the demo page.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { readdir } from 'node:fs/promises'
import { defineConfig, type Plugin } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const OUT = here('../dist/widget')

/** What a page loads, compressed. More than this and the build fails. */
const BUDGET = 60_000

/** Says the size, and puts the compressed file beside each, for the server to send. */
function budget(): Plugin {
  return {
    name: 'budget',
    generateBundle(_, bundle) {
      let total = 0
      for (const [name, file] of Object.entries(bundle)) {
        const size = gzipSync(file.type === 'chunk' ? file.code : file.source, { level: 9 }).length
        total += size
        this.info(`${name} ${(size / 1000).toFixed(1)} kB gzip`)
      }
      this.info(`in all ${(total / 1000).toFixed(1)} kB gzip of ${BUDGET / 1000}`)
      if (total > BUDGET) this.error(`the widget is ${total} bytes, more than ${BUDGET}`)
    },
    async closeBundle() {
      for (const name of await readdir(OUT)) {
        if (/\.(js|mjs|css|html)$/.test(name)) writeFileSync(`${OUT}/${name}.gz`, gzipSync(readFileSync(`${OUT}/${name}`), { level: 9 }))
      }
    },
  }
}

export default defineConfig(({ mode }) => {
  const module = mode === 'module'
  return {
    root: here('.'),
    publicDir: module ? false : here('./demo'),
    plugins: [budget()],
    define: { 'process.env.NODE_ENV': '"production"' },
    build: {
      outDir: OUT,
      emptyOutDir: !module,
      target: 'es2022',
      sourcemap: false,
      reportCompressedSize: false,
      lib: module
        ? { entry: here('./src/index.ts'), formats: ['es'], fileName: () => 'widget.mjs' }
        : { entry: here('./src/script.ts'), formats: ['iife'], name: 'dovetailWidget', fileName: () => 'widget.js' },
    },
  }
})
