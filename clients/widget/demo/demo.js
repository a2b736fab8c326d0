// Takes the link of the demo and puts the widget into the page, as a page would.
const asked = Object.fromEntries(new URLSearchParams(location.search))
const server = asked.url ?? location.origin
// What the widget can be asked for, to try it: demo.html?ask=name&colour=%237a1f5c
const OPTIONS = ['locale', 'theme', 'position', 'dir', 'greeting', 'hours', 'timeZone', 'away', 'ask', 'colour', 'texts']
const options = Object.fromEntries(OPTIONS.filter((name) => name in asked).map((name) => [name, asked[name]]))
const answer = fetch('/chat/v1/demo').then((response) => (response.ok ? response.json() : null)).catch(() => null)

answer.then((told) => {
  const link = told?.guestLink
  if (!link) {
    document.getElementById('what').textContent = 'There is no demo on this server: start it with `dovetail dev --demo`.'
    return
  }
  const script = document.createElement('script')
  script.src = '../widget.js'
  script.async = true
  Object.assign(script.dataset, link, { url: server, greeting: 'Hello! Ask me anything about your days in Lisbon.', ...options })
  document.body.append(script)
})
