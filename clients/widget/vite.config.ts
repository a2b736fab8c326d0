// Builds the widget into clients/dist/widget: widget.js for a script tag with realtime.mjs beside it, widget.mjs for import, and
// the demo page. One after the other, since each is a build of its own: see package.json.
import { readFileSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
const OUT = here('../dist/widget')

/** What a page with the script tag loads, compressed: at once, and in all. More than this and the build fails. */
const FIRST = 40_000
const BUDGET = 60_000

const compressed = (name: string) => gzipSync(readFileSync(`${OUT}/${name}`), { level: 9 })

/** Puts the compressed file beside each, for the server to send, and says what it costs. */
function budget(last: boolean): Plugin {
  return {
    name: 'budget',
    async closeBundle() {
      for (const name of await readdir(OUT)) {
        if (/\.(js|mjs|css|html)$/.test(name)) writeFileSync(`${OUT}/${name}.gz`, compressed(name))
      }
      if (!last) return
      const [first, later] = [compressed('widget.js').length, compressed('realtime.mjs').length]
      const size = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`
      this.info(`widget.js ${size(first)} of ${size(FIRST)}, realtime.mjs ${size(later)}, in all ${size(first + later)} of ${size(BUDGET)} gzip`)
      if (first > FIRST || first + later > BUDGET) this.error('the widget is too large')
    },
  }
}

const LIBRARIES = {
  production: { entry: here('./src/script.ts'), formats: ['iife' as const], name: 'dovetailWidget', fileName: () => 'widget.js' },
  module: { entry: here('./src/index.ts'), formats: ['es' as const], fileName: () => 'widget.mjs' },
  realtime: { entry: here('./src/realtime-only.ts'), formats: ['es' as const], fileName: () => 'realtime.mjs' },
}

export default defineConfig(({ mode }) => ({
  root: here('.'),
  publicDir: mode === 'production' ? here('./demo') : false,
  plugins: [budget(mode === 'realtime')],
  define: { 'process.env.NODE_ENV': '"production"' },
  resolve: { alias: mode === 'production' ? [{ find: './realtime.ts', replacement: here('./src/realtime-beside.ts') }] : [] },
  build: {
    outDir: OUT,
    emptyOutDir: mode === 'production',
    target: 'es2022',
    sourcemap: false,
    reportCompressedSize: false,
    lib: LIBRARIES[mode as keyof typeof LIBRARIES],
    rollupOptions: { output: { minify: true } },
  },
}))
