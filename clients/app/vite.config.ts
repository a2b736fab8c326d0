// Builds the pages into clients/dist/chat, to be served at /chat/.
import fs from 'node:fs'
import path from 'node:path'
import { gzipSync } from 'node:zlib'
import { fileURLToPath } from 'node:url'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))

/** What a first visit loads, compressed. More than this and the build fails. */
const BUDGET = 250_000

/** Says what a first visit costs: the entry, what it imports at once, and the styles. */
function budget(): Plugin {
  return {
    name: 'budget',
    generateBundle(_, bundle) {
      const first = new Set<string>()
      const add = (name: string) => {
        const chunk = bundle[name]
        if (first.has(name) || chunk?.type !== 'chunk') return
        first.add(name)
        chunk.imports.forEach(add)
      }
      for (const [name, file] of Object.entries(bundle)) {
        if (file.type === 'chunk' && file.isEntry && name !== 'sw.js') add(name)
        if (name.endsWith('.css')) first.add(name)
      }
      let total = 0
      for (const name of first) {
        const file = bundle[name]
        if (!file) continue
        const size = gzipSync(file.type === 'chunk' ? file.code : file.source).length
        total += size
        this.info(`${name} ${(size / 1000).toFixed(1)} kB gzip`)
      }
      this.info(`first load: ${(total / 1000).toFixed(1)} kB gzip of ${BUDGET / 1000}`)
      if (total > BUDGET) this.error(`the first load is ${total} bytes, more than ${BUDGET}`)
    },
  }
}

/** Beside each text a compressed copy, which the server sends to who takes it. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    writeBundle({ dir }) {
      for (const name of fs.readdirSync(dir as string, { recursive: true, encoding: 'utf8' })) {
        const file = path.join(dir as string, name)
        if (/\.(js|css|html|svg|webmanifest)$/.test(name)) fs.writeFileSync(`${file}.gz`, gzipSync(fs.readFileSync(file), { level: 9 }))
      }
    },
  }
}

/** Of the list of emoji only what the picker shows. */
function emoji(): Plugin {
  return {
    name: 'emoji',
    enforce: 'pre',
    transform: {
      filter: { id: /emojibase-data\/\w+\/compact\.json$/ },
      handler(code) {
        const all = JSON.parse(code) as Record<string, unknown>[]
        return { code: JSON.stringify(all.map(({ unicode, label, group, order, tags }) => ({ unicode, label, group, order, tags }))), map: null }
      },
    },
  }
}

export default defineConfig({
  root: here('.'),
  base: '/chat/',
  plugins: [emoji(), react(), budget(), compressed()],
  resolve: {
    // Radix puts a <style> into the page while a dialog is open, which our policy forbids.
    alias: { 'react-style-singleton': here('./src/style-singleton.ts') },
  },
  build: {
    outDir: here('../dist/chat'),
    emptyOutDir: true,
    target: 'es2022',
    sourcemap: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    // One part for a first visit: everything in it is shown at once. The budget above watches it.
    chunkSizeWarningLimit: 1000,
    assetsInlineLimit: 0,
    rollupOptions: {
      input: { main: here('./index.html'), sw: here('./src/sw.ts') },
      output: { entryFileNames: (chunk) => (chunk.name === 'sw' ? 'sw.js' : 'assets/[name]-[hash].js') },
    },
  },
})
