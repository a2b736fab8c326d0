// Takes the link of the demo and puts the widget into the page, as a page would.
const server = new URLSearchParams(location.search).get('url') ?? location.origin
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
  Object.assign(script.dataset, link, { url: server, greeting: 'Hello! Ask me anything about your days in Lisbon.' })
  document.body.append(script)
})
