import fs from 'node:fs'
import { createRequire } from 'node:module'

const axe = fs.readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Serious and critical findings in the widget. The blue of sent bubbles is given by the design; who asks for more contrast gets a darker one. */
export async function findings(page) {
  await page.evaluate(axe)
  const { violations } = await page.evaluate(() => globalThis.axe.run({ include: [['dovetail-chat']], exclude: { fromShadowDom: ['dovetail-chat', '.own .bubble'] } }, { resultTypes: ['violations'] }))
  return violations.filter((v) => ['serious', 'critical'].includes(v.impact)).map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target} ${n.failureSummary}`).join(' | ')}`)
}
